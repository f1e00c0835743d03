"""Plans that audit a verifier of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from darkroom.access import VerifierAccess
from darkroom.auditing.plan import AttackSection, BasePlan, Section, checked_slice
from darkroom.errors import PlanError
from darkroom.sections import PartSection
from darkroom.verifiers.targets.sections import (
    EncoderSection,
    ServedFacesSection,
    TargetSection,
)
from darkroom.vision.reading.pictures import Resize
from darkroom.vision.training.sections import RecipeSection


class FacesSection(Section):
    """Photos of people who are not enrolled.

    Attributes:
        images: One folder a person, or ``.npz``.
        people: Which of them to take, such as ``"0:300"``.
        resize: How photos of another size are made to fit.
        attributes: A table (``.csv``) with a column ``id``, the names of the folders, and one for
            each attribute, from which an attacker learns to tell them from templates.
    """

    images: Path
    people: str | None = None
    resize: Resize = False
    attributes: Path | None = None

    @field_validator("people")
    @classmethod
    def _people(cls, told: str | None) -> str | None:
        return None if told is None else checked_slice(told)


class EnrolledSection(Section):
    """The truth: photos of the people enrolled.

    Attributes:
        enrolled: One folder a person, or ``.npz``.
        enrol: Which photos of each are enrolled; the others serve the judges. Every other one when
            left out.
        people: Which of them to take.
        resize: How photos of another size are made to fit.
        attributes: The truth about the people: a table as ``[public] attributes``.
    """

    enrolled: Path
    enrol: str | None = None
    people: str | None = None
    resize: Resize = False
    attributes: Path | None = None

    @field_validator("people", "enrol")
    @classmethod
    def _slices(cls, told: str | None) -> str | None:
        return None if told is None else checked_slice(told)


class EncoderRecipe(RecipeSection):
    """How every ``[[training]]`` trains the encoder that ``[target] load`` builds.

    A linear layer on top tells people apart while it learns, and is dropped.

    Attributes:
        images: Photos of the people from whom it learns: one folder a person, or ``.npz``. The
            enrolled photos when left out.
    """

    images: Path | None = None


class LeakSection(Section):
    """Several stored templates of each person that have leaked together.

    Without this table one of each has leaked, as the store has it. Attacks on templates take all
    together, and the report shows one against all.

    Attributes:
        templates: Of each person, of as many enrolled photos; or of as many stores.
        renewed: Whether they are one template of each person from several stores that were renewed,
            each with keys of its own.
    """

    templates: int = Field(ge=2, le=100)
    renewed: bool = False


class VerifierAttackSection(AttackSection):
    """An attack by name; its access is one of a verifier's.

    Attributes:
        access: What a query returns to it; its own when left out.
    """

    access: VerifierAccess | None = None  # type: ignore[assignment]


class VerifierJudges(Section):
    """How the judges are trained, and who are strangers.

    Attributes:
        steps: Training steps of the convolutional judge.
        extra: Further judges, whose votes count as much.
        strangers: Photos of people who are neither enrolled nor public: by them the operating point
            is set, and among them the right person is ranked. Some public people are held apart
            when left out.
    """

    steps: int = Field(default=500, ge=1)
    extra: list[PartSection] = Field(default_factory=list)
    strangers: Path | None = None


class VerifierPlan(BasePlan):
    """A whole plan.

    With ``guarded``, every attack on scores or decisions also asks the same verifier behind a
    guard.
    """

    guard_shares: ClassVar[tuple[str, ...]] = ("shape", "range")

    target: TargetSection
    guarded: ServedFacesSection | None = None
    private: EnrolledSection
    public: FacesSection
    leak: LeakSection | None = None
    recipe: EncoderRecipe = EncoderRecipe()
    attack: Annotated[list[VerifierAttackSection], Field(min_length=1)]  # type: ignore[assignment]
    judges: VerifierJudges = VerifierJudges()

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if self.guarded is not None and self.guarded.answers == "template":
            raise PlanError(
                '[guarded] answers templates, which nobody compares there: set answers = "score" '
                'or "decision"'
            )
        return self

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        if not self.training:
            return self
        target = self.target
        if not isinstance(target, EncoderSection) or ":" not in target.load:
            raise PlanError(
                "[[training]] trains a PyTorch module: set [target] load to the code that builds "
                "the encoder, such as mymodels:face_encoder"
            )
        if target.weights is not None or target.templates is not None:
            raise PlanError(
                "[[training]] trains the encoder itself, and enrols people at it: remove [target] "
                "weights and templates, or the trainings"
            )
        return self

    @model_validator(mode="after")
    def _both_attributes(self) -> Self:
        if (self.private.attributes is None) != (self.public.attributes is None):
            raise PlanError(
                "[private] attributes and [public] attributes go together: an attacker learns from "
                "the public ones"
            )
        return self

    def anchored(self, folder: Path) -> Self:
        """Returns the plan with the paths of its inputs made relative to a folder."""

        def moved(section: Any, *names: str) -> Any:
            paths = {name: getattr(section, name) for name in names}
            found = {name: path and folder / path for name, path in paths.items()}
            return section.model_copy(update=found)

        return self.model_copy(
            update={
                "target": self.target.anchored(folder),
                "private": moved(self.private, "enrolled", "attributes"),
                "public": moved(self.public, "images", "attributes"),
                "judges": moved(self.judges, "strangers"),
                "recipe": moved(self.recipe, "images"),
            }
        )
