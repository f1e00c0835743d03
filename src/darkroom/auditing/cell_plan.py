"""What decides a cell's result, beside the subject: one attack, one defence, one prior."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from darkroom.access import Access, Level
from darkroom.auditing.plan import AttackSection
from darkroom.named import identity, parameters_of
from darkroom.sections import Section

GUARD = "guard"
"""What stands in a cell behind a guard for the defence."""


class Named(Protocol):
    """What attacks and priors have."""

    @property
    def name(self) -> str:
        """The word used in plans."""


class Defended(Protocol):
    """Output defences in a row, maybe none."""

    @property
    def name(self) -> str:
        """What reports call them; ``none`` without any."""

    @property
    def defenses(self) -> Sequence[Any]:
        """They, in the order in which answers pass them."""


A = TypeVar("A", bound=Named)
L = TypeVar("L", bound=Level)
D = TypeVar("D", bound=Defended)
P = TypeVar("P", bound=Named)


@dataclass(frozen=True, kw_only=True)
class CellPlan(Generic[A, L, D, P]):
    """What decides a cell's result, beside the subject.

    Attributes:
        attack: The attack with its parameters.
        access: What a query returns to it.
        defense: The output defences that the answers pass.
        prior: What the attacker knows before asking, with its parameters; not yet fitted.
        budget: Rows a goal, or ``None``.
        seed: The run's seed.
        k: How many classes an answer of ``top_k`` names.
        naive: Whether the attacker is not told of the defences.
        guarded: The guard that the model is asked through, or ``None`` for the model itself.
    """

    attack: A
    access: L
    defense: D
    prior: P
    budget: int | None
    seed: int
    k: int = 5
    naive: bool = False
    guarded: Section | None = None

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        against = f" against {self.defense.name}" if self.defense.defenses else ""
        against += ", not told" if self.naive else ""
        against += "" if self.guarded is None else " behind the guard"
        return f"Attack {self.attack.name} / {self.prior.name}{against}"

    def key(self, subject_digest: str, version: str) -> str:
        """Returns a hash of everything that decides the cell's result, 16 hexadecimal digits.

        Args:
            subject_digest: Of the target and of all data.
            version: Darkroom's, since another one may attack or judge otherwise.
        """
        attack = parameters_of(self.attack)
        # How much memory a step may take changes no answer.
        attack.pop("memory", None)
        decisive = {
            "version": version,
            "subject": subject_digest,
            "attack": identity(self.attack, attack),
            "access": [self.access, self.k if self.access == Access.TOP_K else None],
            "defense": [identity(one, one.decisive()) for one in self.defense.defenses],
            "prior": identity(self.prior),
            "budget": self.budget,
            "seed": self.seed,
            "naive": self.naive,
            "guarded": self.guarded and self.guarded.model_dump(mode="json"),
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


C = TypeVar("C", bound=CellPlan[Any, Any, Any, Any])
S = TypeVar("S", bound=AttackSection)


def crossed(
    attacks: Sequence[S], defenses: Sequence[D], cells_of: Callable[[S, D], Iterable[C]]
) -> Iterator[C]:
    """Yields the cells of every attack against every defence, in the order of the plan.

    Args:
        attacks: The plan's.
        defenses: The plan's, after none at all.
        cells_of: Returns the cells of one attack against one defence: none where the attacker sees
            through it, two where one that is not told of it is tried too.
    """
    for section in attacks:
        for defense in defenses:
            yield from cells_of(section, defense)
