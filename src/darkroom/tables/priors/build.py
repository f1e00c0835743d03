"""Priors of tables by the names that plans use, counted or trained on public rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.errors import PlanError, nearest, require_known
from darkroom.named import wrong_value
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import ConditionalPrior, MarginalsPrior, TablePrior, UniformPrior
from darkroom.tables.priors.imputation import ImputationPrior
from darkroom.tables.schema import Rows


class TablePriorConfiguration(BaseModel, ABC):
    """The parameters of one kind of prior, as a plan gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class UniformConfiguration(TablePriorConfiguration):
    """No statistics at all."""

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:  # noqa: ARG002
        """Makes the prior."""
        return UniformPrior(candidates)


class MarginalsConfiguration(TablePriorConfiguration):
    """Frequencies in all public rows."""

    smoothing: float = Field(default=1.0, gt=0)

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:  # noqa: ARG002
        """Counts."""
        return MarginalsPrior(candidates, public, self.smoothing)


class ConditionalConfiguration(TablePriorConfiguration):
    """Frequencies in public rows that agree in some columns."""

    given: list[str] = Field(min_length=1)
    smoothing: float = Field(default=1.0, gt=0)

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:  # noqa: ARG002
        """Counts."""
        return ConditionalPrior(candidates, public, self.given, self.smoothing)


class ImputationConfiguration(TablePriorConfiguration):
    """A classifier of the sensitive value, trained on public rows."""

    model: Literal["auto", "logistic", "forest"] = "auto"

    def build(self, candidates: Candidates, public: Rows, seed: int) -> TablePrior:
        """Trains."""
        return ImputationPrior(candidates, public, model=self.model, seed=seed)


TABLE_PRIORS: dict[str, type[TablePriorConfiguration]] = {
    "uniform": UniformConfiguration,
    "marginals": MarginalsConfiguration,
    "conditional": ConditionalConfiguration,
    "imputation": ImputationConfiguration,
}


def configure_table_prior(name: str, parameters: dict[str, Any]) -> TablePriorConfiguration:
    """Checks a plan's words for a prior of tables.

    Args:
        name: One of :data:`TABLE_PRIORS`.
        parameters: Fields of its configuration; the others keep their defaults.

    Raises:
        PlanError: If there is no such prior or parameter, or a value is wrong.
    """
    if name not in TABLE_PRIORS:
        raise PlanError(f"no prior of tables is called {name!r}: {nearest(name, TABLE_PRIORS)}")
    require_known(f"prior {name}", parameters, TABLE_PRIORS[name].model_fields)
    try:
        return TABLE_PRIORS[name].model_validate(parameters)
    except ValidationError as error:
        raise wrong_value(f"prior {name}", error) from error
