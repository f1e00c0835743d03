"""Plans that audit a classifier of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import field_validator, model_validator

from darkroom.audit.plan import BasePlan, Section, checked_slice
from darkroom.errors import PlanError
from darkroom.targets.sections import TargetSection


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

    @model_validator(mode="after")
    def _leave(self) -> Self:
        if self.target.kind == "http" and not (self.run.authorized_by or "").strip():
            raise PlanError(
                "a remote target is audited only with leave: set [run] authorized_by = "
                '"name and role"'
            )
        return self

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
                "target": self.target.anchored(folder),
                "private": moved(self.private, "images"),
                "public": moved(self.public, "images") if self.public else None,
            }
        )
