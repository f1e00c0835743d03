"""What decides the result of a cell of text."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.access import LanguageAccess
from darkroom.auditing.naming import cell_key
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.named import parameters_of
from darkroom.text.attacks.base import SecretAttack


@dataclass(frozen=True)
class TextCellPlan:
    """What decides a cell's result, beside the subject.

    Attributes:
        attack: The attack with its parameters.
        access: What a query returns to it.
        defense: What is changed of log-probabilities, if anything.
        budget: Rows a secret, or ``None``.
        seed: The run's seed.
        naive: Whether the attacker is not told of the defence.
    """

    attack: SecretAttack
    access: LanguageAccess
    defense: LogprobDefense | None
    budget: int | None
    seed: int
    naive: bool = False

    @property
    def defense_name(self) -> str:
        """What reports call the defence."""
        if self.defense is None:
            return "none"
        inside = ", ".join(f"{k}={v}" for k, v in parameters_of(self.defense).items())
        return f"{self.defense.name}({inside})"

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        against = "" if self.defense is None else f" against {self.defense_name}"
        against += ", not told" if self.naive else ""
        return f"Attack {self.attack.name}{against}"

    def key(self, subject_digest: str, version: str) -> str:
        """Returns a hash of everything that decides the cell's result.

        Args:
            subject_digest: Of the models and the canaries.
            version: Darkroom's, since another one may attack or judge otherwise.
        """
        decisive = {
            "version": version,
            "subject": subject_digest,
            "attack": [self.attack.name, parameters_of(self.attack)],
            "access": self.access,
            "defense": self.defense_name,
            "budget": self.budget,
            "seed": self.seed,
            **({"naive": True} if self.naive else {}),
        }
        return cell_key(decisive)
