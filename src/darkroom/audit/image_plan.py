"""Plans that audit a classifier of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from darkroom.audit.plan import BasePlan, Section, checked_slice


class TargetSection(Section):
    """The model; see :func:`darkroom.targets.load.load_target`."""

    kind: Literal["torch"] = "torch"
    load: str
    weights: Path | None = None
    shape: Annotated[list[int], Field(min_length=3, max_length=3)]
    range: tuple[float, float] = (0.0, 1.0)
    outputs: Literal["logits", "probabilities"] = "logits"
    device: str = "cpu"


class PublicSection(Section):
    """What the attacker may know: photos of other people."""

    images: Path
    people: str | None = None
    resize: bool = False

    _people = field_validator("people")(lambda text: text and checked_slice(text))


class PrivateSection(PublicSection):
    """The truth, which judges and metrics alone see."""

    trained_on: str = ":"

    _trained_on = field_validator("trained_on")(checked_slice)


class ImagePlan(BasePlan):
    """A whole plan."""

    target: TargetSection
    private: PrivateSection
    public: PublicSection | None = None

    def anchored(self, folder: Path) -> Self:
        """Returns the plan with the paths of its inputs made relative to a folder.

        ``out`` stays relative to the working folder.
        """

        def moved(section: Any, *names: str) -> Any:
            paths = {name: getattr(section, name) for name in names}
            return section.model_copy(
                update={name: folder / path for name, path in paths.items() if path is not None}
            )

        return self.model_copy(
            update={
                "target": moved(self.target, "weights"),
                "private": moved(self.private, "images"),
                "public": moved(self.public, "images") if self.public else None,
            }
        )
