"""What decides the result of a cell of images."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.access import Access
from darkroom.auditing.naming import cell_key, cell_title
from darkroom.defenses.pipeline import Pipeline
from darkroom.images.attacks.base import Attack
from darkroom.images.priors.build import PriorConfiguration
from darkroom.images.targets.sections import TargetTable
from darkroom.named import parameters_of


@dataclass(frozen=True)
class CellPlan:
    """What decides a cell's result, beside the subject.

    Attributes:
        attack: The attack with its parameters.
        access: What a query returns to it.
        k: How many classes an answer of ``top_k`` names.
        defense: The output defences that the answers pass.
        prior: The prior with its parameters, not yet fitted.
        budget: Rows a goal, or ``None``.
        seed: The run's seed.
        judge_steps: Training steps of the convolutional judge.
        naive: Whether the attacker is not told of the defences.
        guarded: The guard that the model is asked through, or ``None`` for the model itself.
    """

    attack: Attack
    access: Access
    k: int
    defense: Pipeline
    prior: PriorConfiguration
    budget: int | None
    seed: int
    judge_steps: int
    naive: bool = False
    guarded: TargetTable | None = None

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        title = cell_title(self.attack.name, self.prior.name, self.defense, naive=self.naive)
        return title if self.guarded is None else f"{title} behind the guard"

    def key(self, subject_digest: str, version: str) -> str:
        """Returns a hash of everything that decides the cell's result.

        Args:
            subject_digest: Of the target and all photos.
            version: Darkroom's, since another one may attack or judge otherwise.
        """
        decisive = {
            "version": version,
            "subject": subject_digest,
            "attack": [self.attack.name, parameters_of(self.attack)],
            "access": [self.access, self.k if self.access is Access.TOP_K else None],
            "defense": [[one.name, one.decisive()] for one in self.defense.defenses],
            "prior": [self.prior.name, parameters_of(self.prior)],
            "budget": self.budget,
            "seed": self.seed,
            "judge_steps": self.judge_steps,
            **({"naive": True} if self.naive else {}),
            **({"guarded": self.guarded.model_dump(mode="json")} if self.guarded else {}),
        }
        return cell_key(decisive)
