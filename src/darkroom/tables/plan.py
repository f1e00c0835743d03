"""Plans that audit a model of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from darkroom.auditing.plan import BasePlan, RunSection, Section, checked_slice
from darkroom.errors import PlanError
from darkroom.tables.data import DIABETES
from darkroom.tables.reading.csv_files import MISSING, Decimal
from darkroom.tables.schema import Encoding
from darkroom.tables.targets.sections import Names, TableHttpSection, TableSection

BLOCK = 100_000
"""Enough records to keep a process busy for a while, and few enough for several processes."""


class ColumnSection(Section):
    """What a column is, where its values do not tell it rightly.

    Attributes:
        kind: What it is.
        values: Of a categorical column: all that it may hold, if some are in no row.
    """

    kind: Literal["categorical", "numeric"]
    values: list[str | int | float] = Field(default_factory=list)


class SensitiveSection(Section):
    """What is sensitive: one column or several by name, or the ``columns`` of one attribute.

    A name or a list of names may stand for the table: each is then an attribute of its own.

    Attributes:
        columns: Their names.
        encoding: In ``one-hot``, one column at most is on; without, each is an attribute of its
            own.
    """

    columns: Names
    encoding: Encoding = "one-hot"

    @model_validator(mode="before")
    @classmethod
    def _names_alone(cls, value: object) -> object:
        names = [value] if isinstance(value, str) else value
        return {"columns": names, "encoding": ""} if isinstance(names, list) else names


class RowsSection(Section):
    """Rows of a file, and how it is read.

    Attributes:
        table: A CSV, Parquet, Feather or Excel file with a header, or ``diabetes`` for
            scikit-learn's table.
        rows: Which of its rows, as a slice. One file can hold both tables if their slices do not
            overlap.
        encoding: Of a CSV file.
        separator: Between its cells.
        decimal: The sign before decimals; found out when left out.
        header_rows: Lines that name the columns.
        na: What a cell says when its value is missing.
        text: Columns to keep as text although they look like numbers.
        missing: What becomes of rows in which values are missing. ``auto`` keeps them if the model
            predicts them, and leaves them out if not; ``refuse`` makes them an error. A row
            without its response, or without a value that the attacker does not know, is always
            left out, and the report counts those.
    """

    table: Path
    rows: str = ":"
    encoding: str = "utf-8-sig"
    separator: str = Field(default=",", min_length=1, max_length=1)
    decimal: Decimal | None = None
    header_rows: int = Field(default=1, ge=1)
    na: list[str] = Field(default_factory=lambda: list(MISSING))
    text: list[str] = Field(default_factory=list)
    missing: Literal["auto", "drop", "keep", "refuse"] = "auto"

    _rows = field_validator("rows")(checked_slice)


class PublicTableSection(RowsSection):
    """Rows that the attacker may have, none of the private ones.

    Attributes:
        imputer: The baseline that is trained on them; for a number, ``logistic`` is a linear
            regression.
    """

    imputer: Literal["auto", "logistic", "forest"] = "auto"


class PrivateTableSection(RowsSection):
    """The truth: what is sensitive in which rows, and which of them the model was trained on.

    Attributes:
        sensitive: What is to be inferred.
        unknown: Further columns that the attacker does not know.
        derived: Columns that follow from the sensitive ones, in every row, and change with them.
        trained_on: The rows that the model was trained on, as a slice within ``rows``.
        positive: Of two sensitive values, the one that precision, recall and AUC are about; the
            rarer one when left out.
        knows: What the attacker has of each record beside the other columns: its true
            ``response``, or what the model says of the true record, its ``prediction``.
        errors_on: The rows whose errors the attacker knows of: those the model was trained on, or
            the others.
        groups: The columns whose values are compared; all when left out.
        bins: Values that stand for a sensitive number: half of them spaced evenly, half where most
            rows are.
        tolerance: How far off a guess at a number may be and still count; a tenth of the range
            between its 5th and 95th percentile when left out.
        columns: What columns are, by name, where their values do not tell.
    """

    sensitive: SensitiveSection
    unknown: list[str] = Field(default_factory=list)
    derived: list[str] = Field(default_factory=list)
    trained_on: str = ":"
    positive: str | None = None
    knows: Literal["response", "prediction"] = "response"
    errors_on: Literal["members", "others"] = "members"
    groups: list[str] | None = None
    bins: int = Field(default=20, ge=2, le=200)
    tolerance: float | None = Field(default=None, gt=0)
    columns: dict[str, ColumnSection] = Field(default_factory=dict)

    _trained_on = field_validator("trained_on")(checked_slice)


class TableRunSection(RunSection):
    """What a run of tables has beside.

    Attributes:
        block: Records that are asked about together: where there are more, attacks that allow it
            are cut into blocks of so many, which several processes share and ``--resume`` keeps.
    """

    block: int = Field(default=BLOCK, ge=1)


class TablePlan(BasePlan):
    """A plan that audits a model of tables.

    With ``training``, Darkroom fits the estimator that ``[target] load`` returns on the private
    rows that ``trained_on`` selects, once without a defence and once with each.
    """

    guard_shares: ClassVar[tuple[str, ...]] = ("response", "inputs")

    run: TableRunSection
    target: TableSection
    guarded: TableHttpSection | None = None
    private: PrivateTableSection
    public: PublicTableSection

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
