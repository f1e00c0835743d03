"""What decides the result of a cell of tables."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.access import Access
from darkroom.auditing.naming import cell_key, cell_title
from darkroom.defenses.pipeline import Pipeline
from darkroom.named import parameters_of
from darkroom.tables.attacks.base import TableAttack
from darkroom.tables.priors.build import TablePriorConfiguration
from darkroom.tables.subject import TableSubject


@dataclass(frozen=True)
class TableCellPlan:
    """What decides a cell's result, beside the subject.

    Attributes:
        attack: The attack with its parameters.
        access: What a query returns to it.
        defense: The output defences that the answers pass.
        prior: The prior with its parameters, not yet fitted.
        budget: Rows a record, or ``None``.
        seed: The run's seed.
        naive: Whether the attacker is not told of the defences.
    """

    attack: TableAttack
    access: Access
    defense: Pipeline
    prior: TablePriorConfiguration
    budget: int | None
    seed: int
    naive: bool = False

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        return cell_title(self.attack.name, self.prior.name, self.defense, naive=self.naive)

    def expected_queries(self, subject: TableSubject) -> int:
        """Returns the rows a record that the attack spends at most."""
        told = Pipeline() if self.naive else self.defense
        return self.attack.expected_queries(subject.candidates, told)

    def key(self, subject_digest: str, version: str) -> str:
        """Returns a hash of everything that decides the cell's result.

        Args:
            subject_digest: Of the target and all rows.
            version: Darkroom's, since another one may attack or judge otherwise.
        """
        # How much memory a block may take changes no answer.
        parameters = {
            name: value for name, value in parameters_of(self.attack).items() if name != "memory"
        }
        decisive = {
            "version": version,
            "subject": subject_digest,
            "attack": [self.attack.name, parameters],
            "access": self.access,
            "defense": [[one.name, one.decisive()] for one in self.defense.defenses],
            "prior": [self.prior.name, parameters_of(self.prior)],
            "budget": self.budget,
            "seed": self.seed,
            **({"naive": True} if self.naive else {}),
        }
        return cell_key(decisive)
