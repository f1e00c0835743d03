"""Plans that audit a model of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from darkroom.auditing.plan import BasePlan, Section, TrainingSection, checked_slice
from darkroom.errors import PlanError
from darkroom.tables.data import DIABETES, MISSING

Names = Annotated[list[str], Field(min_length=1)]


class TableTargetSection(Section):
    """The model; see :func:`darkroom.tables.targets.load.load_table_target`.

    ``response`` is the column that it predicts, ``inputs`` are those that it takes, in its order:
    all others of the private table when left out.
    """

    kind: Literal["sklearn", "onnx", "function"] = "sklearn"
    load: str
    response: str
    inputs: Names | None = None
    outputs: Literal["predictions", "scores"] = "predictions"
    trusted: list[str] = Field(default_factory=list)


class TableHttpSection(Section):
    """A model of tables that is served; see :class:`darkroom.tables.targets.http.HttpTableTarget`.

    ``protocol`` is ``json`` (rows as objects under ``rows``, one answer a row under ``path``) or
    ``v2``, the Open Inference Protocol with one tensor a column. Keys do not belong into a plan:
    ``headers_from_env`` and ``api_key_env`` name environment variables.
    """

    kind: Literal["http"]
    protocol: Literal["json", "v2"]
    url: str
    response: str
    inputs: Names | None = None
    answers: Literal["scores", "predictions"] = "predictions"
    model: str | None = None
    version: str | None = None
    output: str | None = None
    rows: str = "inputs"
    path: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    tolerance: float = Field(default=1e-3, ge=0, le=0.5)
    batch: int = Field(default=256, ge=1, le=100_000)
    concurrency: int = Field(default=4, ge=1, le=256)
    timeout: float = Field(default=30.0, gt=0, le=3600)
    retries: int = Field(default=6, ge=0, le=100)
    patience: float = Field(default=120.0, ge=0, le=30 * 86_400)
    headers_from_env: dict[str, str] = Field(default_factory=dict)
    api_key_env: str | None = None


class ColumnSection(Section):
    """What a column is, where its values do not tell it rightly."""

    kind: Literal["categorical", "numeric"]
    values: list[str | int | float] = Field(default_factory=list)


class TableSection(Section):
    """Rows of a file, and how it is read."""

    table: Path
    rows: str = ":"
    encoding: str = "utf-8-sig"
    separator: str = Field(default=",", min_length=1, max_length=1)
    header_rows: int = Field(default=1, ge=1)
    na: list[str] = Field(default_factory=lambda: list(MISSING))
    text: list[str] = Field(default_factory=list)
    missing: Literal["drop", "refuse"] = "drop"

    _rows = field_validator("rows")(checked_slice)


class PublicTableSection(TableSection):
    """Rows that the attacker may have; ``imputer`` is the baseline that is trained on them."""

    imputer: Literal["auto", "logistic", "forest"] = "auto"


class PrivateTableSection(TableSection):
    """The truth: what is sensitive in which rows, and which of them the model was trained on.

    ``trained_on`` counts within ``rows``. ``positive`` is the sensitive value that precision,
    recall and AUC are about when there are two: the rarer one when left out. ``knows`` is what the
    attacker has of each record beside the other columns: its true ``response``, or what the model
    says of the true record, its ``prediction``. ``errors_on`` are the rows whose errors the
    attacker knows of. ``groups`` are the columns whose values are compared; all when left out.
    ``tolerance`` is how far off a guess at a number may be and still count.
    """

    sensitive: Names
    unknown: list[str] = Field(default_factory=list)
    trained_on: str = ":"
    positive: str | None = None
    knows: Literal["response", "prediction"] = "response"
    errors_on: Literal["members", "others"] = "members"
    groups: list[str] | None = None
    bins: int = Field(default=20, ge=2, le=200)
    tolerance: float | None = Field(default=None, gt=0)
    columns: dict[str, ColumnSection] = Field(default_factory=dict)

    _trained_on = field_validator("trained_on")(checked_slice)

    @field_validator("sensitive", mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


def _served(section: Any) -> str:
    """Tells a ``[target]`` that is served from one in this process."""
    kind = section.get("kind") if isinstance(section, dict) else getattr(section, "kind", None)
    return "http" if kind == "http" else "model"


class TablePlan(BasePlan):
    """A whole plan.

    With ``training``, Darkroom fits the estimator that ``[target] load`` returns on the private
    rows that ``trained_on`` selects, once without a defence and once with each.
    """

    target: Annotated[
        Annotated[TableTargetSection, Tag("model")] | Annotated[TableHttpSection, Tag("http")],
        Discriminator(_served),
    ]
    private: PrivateTableSection
    public: PublicTableSection
    training: list[TrainingSection] = Field(default_factory=list)

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        target = self.target
        if self.training and (target.kind != "sklearn" or ":" not in target.load):
            raise PlanError(
                "[[training]] fits a scikit-learn estimator: set [target] kind = "
                '"sklearn" and load = "module:function" that returns one'
            )
        return self

    def anchored(self, folder: Path) -> Self:
        """Returns the plan with the paths of its inputs made relative to a folder.

        ``out`` stays relative to the working folder.
        """

        def moved(section: Any) -> Any:
            if str(section.table) == DIABETES:
                return section
            return section.model_copy(update={"table": folder / section.table})

        return self.model_copy(
            update={"private": moved(self.private), "public": moved(self.public)}
        )
