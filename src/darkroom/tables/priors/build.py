"""Priors of tables by the names that plans use, counted or trained on public rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from darkroom.named import Registry
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import ConditionalPrior, MarginalsPrior, TablePrior, UniformPrior
from darkroom.tables.priors.imputation import ImputationPrior
from darkroom.tables.schema import Rows


class TablePriorConfiguration(ABC):
    """A prior as a plan asks for it. Subclasses are frozen dataclasses of its parameters.

    Attributes:
        name: The word used in plans.
    """

    name: ClassVar[str]

    @abstractmethod
    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:
        """Counts or trains.

        Args:
            candidates: The values to choose among.
            public: Rows with every column known, ``(n, columns)``.
            seed: For whatever is random.

        Raises:
            DataError: If there are no public rows.
            PlanError: If a column is absent, or the attacker does not know it.
        """


@dataclass(frozen=True)
class UniformConfiguration(TablePriorConfiguration):
    """No statistics at all."""

    name: ClassVar[str] = "uniform"

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:  # noqa: ARG002
        """Makes the prior."""
        return UniformPrior(candidates)


@dataclass(frozen=True)
class MarginalsConfiguration(TablePriorConfiguration):
    """Frequencies in all public rows.

    Attributes:
        smoothing: For how many rows the fallback counts, which has all values alike.
    """

    name: ClassVar[str] = "marginals"

    smoothing: Annotated[float, Field(gt=0)] = 1.0

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:  # noqa: ARG002
        """Counts."""
        return MarginalsPrior(candidates, public, self.smoothing)


@dataclass(frozen=True)
class ConditionalConfiguration(TablePriorConfiguration):
    """Frequencies in public rows that agree in some columns.

    Attributes:
        given: These columns.
        smoothing: For how many rows the fallback counts, the product of frequencies in all rows.
    """

    name: ClassVar[str] = "conditional"

    given: Annotated[tuple[str, ...], Field(min_length=1)]
    smoothing: Annotated[float, Field(gt=0)] = 1.0

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:  # noqa: ARG002
        """Counts."""
        return ConditionalPrior(candidates, public, self.given, self.smoothing)


@dataclass(frozen=True)
class ImputationConfiguration(TablePriorConfiguration):
    """A classifier of the sensitive value, trained on public rows.

    Attributes:
        model: Which; ``auto`` chooses by cross-validation.
    """

    name: ClassVar[str] = "imputation"

    model: Literal["auto", "logistic", "forest"] = "auto"

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:
        """Trains."""
        return ImputationPrior(candidates, public, model=self.model, seed=seed)


TABLE_PRIORS: Registry[TablePriorConfiguration] = Registry(
    "prior",
    TablePriorConfiguration,
    UniformConfiguration,
    MarginalsConfiguration,
    ConditionalConfiguration,
    ImputationConfiguration,
    group="darkroom.priors",
)
