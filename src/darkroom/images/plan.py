"""Plans that audit a classifier of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from darkroom.auditing.plan import BasePlan, RunSection, Section, checked_slice
from darkroom.errors import PlanError
from darkroom.images.targets.sections import TargetSection, TorchSection
from darkroom.sections import PartSection, as_bytes
from darkroom.vision.memory import DEFAULT
from darkroom.vision.reading.pictures import Resize, as_range, as_resize
from darkroom.vision.training.sections import RecipeSection

LEAST_MEMORY = 1 << 30
"""Libraries take about half of that before anything is read."""


BLOCK = 250
"""Enough people for one tensor to be worth it, and few enough for several processes."""


class ImageRunSection(RunSection):
    """What a run of images has beside.

    Attributes:
        memory: Bytes that the audit may take in all, such as ``"4 GB"``.
        block: People who are attacked together: where there are more, attacks that allow it are cut
            into blocks of so many, which several processes share and ``--resume`` keeps.
    """

    memory: int = Field(default=DEFAULT, ge=LEAST_MEMORY)
    block: int = Field(default=BLOCK, ge=1)

    @field_validator("memory", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        return as_bytes(value)


class PublicSection(Section):
    """What the attacker may know: photos of other people.

    Attributes:
        images: A folder with one folder a person, or an ``.npz`` file.
        people: Which of the people to keep, as a slice.
        resize: How photos of another size are made to fit: ``true`` or ``"squash"``, ``"crop"``
            (cut at the longer sides), or ``"fit"`` (whole, within black borders).
        range: The values of black and white in files of more than 8 bits.
    """

    images: Path
    people: str | None = None
    resize: Resize = False
    range: tuple[float, float] | None = None

    _range = field_validator("range")(as_range)
    _resize = field_validator("resize", mode="before")(as_resize)
    _people = field_validator("people")(lambda text: text and checked_slice(text))


class PrivateSection(PublicSection):
    """The truth, which judges and metrics alone see.

    Attributes:
        trained_on: Which photos the model saw: a slice of each person's, a list of files of the
            folder, or a text file that lists them. What lies below ``train`` when left out.
        classes: The names of the model's classes in its order, or a file that lists them; the
            sorted names of folders when left out.
    """

    trained_on: str | list[str] = ":"
    classes: Path | list[str] | None = None

    @field_validator("trained_on")
    @classmethod
    def _trained_on(cls, told: str | list[str]) -> str | list[str]:
        listed = isinstance(told, list) or told.endswith((".txt", ".csv", ".lst"))
        return told if listed else checked_slice(str(told))


class JudgesSection(Section):
    """How the judges are trained, and which join the panel's own.

    Attributes:
        steps: Training steps of the convolutional judge.
        extra: Further judges, whose votes count as much.
        strangers: Photos of people who are neither private nor public, among whom the right person
            is ranked; some public people are held apart when left out.
    """

    steps: int = Field(default=500, ge=1)
    extra: list[PartSection] = Field(default_factory=list)
    strangers: Path | None = None


class ImagePlan(BasePlan):
    """A plan that audits a classifier of images.

    With ``training``, Darkroom trains the module that ``[target] load`` builds on the private
    photos that ``trained_on`` selects, once without a defence and once with each.

    With ``guarded``, every attack on answers also asks the same model behind a guard. What that
    table leaves out is as ``[target]`` has it where that is a server too.
    """

    guard_shares: ClassVar[tuple[str, ...]] = ("shape", "range")

    run: ImageRunSection
    target: TargetSection
    guarded: TargetSection | None = None
    private: PrivateSection
    public: PublicSection | None = None
    recipe: RecipeSection = RecipeSection()
    judges: JudgesSection = JudgesSection()

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        if not self.training:
            return self
        if not isinstance(self.target, TorchSection):
            raise PlanError(
                f"[[training]] trains a PyTorch module, and [target] kind is {self.target.kind}: "
                'set kind = "torch" and load to the code that builds the module'
            )
        if self.target.weights is not None:
            raise PlanError(
                "[[training]] trains the module itself: remove [target] weights, or the trainings"
            )
        if self.target.outputs != "logits":
            raise PlanError(
                "[[training]] needs a module that returns logits: leave out its last softmax and "
                'set [target] outputs = "logits"'
            )
        return self

    def _private(self, folder: Path, section: PrivateSection) -> PrivateSection:
        told, classes = section.trained_on, section.classes
        listed = isinstance(told, str) and ":" not in told
        return section.model_copy(
            update={
                "trained_on": str(folder / str(told)) if listed else told,
                "classes": folder / classes if isinstance(classes, Path) else classes,
            }
        )

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
                "private": self._private(folder, moved(self.private, "images")),
                "public": moved(self.public, "images") if self.public else None,
                "judges": moved(self.judges, "strangers"),
            }
        )
