"""What every protection of templates is."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.base import Scores
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.match_scores import MatchDefense
from darkroom.errors import PlanError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Protection(MatchDefense):
    """Turns templates into what is stored. Subclasses are frozen dataclasses of their parameters.

    A key decides how; with another key the same template becomes something else, so that what
    leaked can be withdrawn (renewability), and cannot be found in another store (unlinkability).
    Keys are drawn from the run's seed, since an audit need not know those of a store.

    Attributes:
        name: The word used for it.
        paper: Where it comes from.
        own_keys: Whether everybody has a key of their own, instead of one for the store.
        keeps: Whether scores stay what they were.
        key_known: Whether the keys have leaked with the templates. An audit tries both.
        pairs: How many accounts of the attacker's own are in the store, of whom the attacker knows
            photo and stored template.
    """

    paper: ClassVar[str] = ""
    own_keys: ClassVar[bool] = False
    keeps: ClassVar[bool] = False

    key_known: bool = False
    pairs: int | None = None

    def __post_init__(self) -> None:
        """Refuses numbers of pairs that there are not.

        Raises:
            PlanError: If it is negative.
        """
        if self.pairs is not None and self.pairs < 0:
            raise PlanError(f"defence {self.name}: pairs must be 0 or more")

    @property
    def effect(self) -> Effect:
        """Of scores it changes nothing more: they are those of protected templates."""
        return UNCHANGED

    def __call__(self, scores: Scores, rng: np.random.Generator) -> Scores:  # noqa: ARG002
        """Leaves the scores of protected templates as they are."""
        return scores

    @abstractmethod
    def protected(self, templates: Floats, key: int) -> Floats:
        """Returns what is stored.

        Args:
            templates: ``(n, size)``.
            key: A number that nobody else has, 0 or more.

        Returns:
            ``(n, length)``.
        """

    def scores(self, asked: Floats, stored: Floats) -> Floats:
        """Compares what is asked with what is stored, both protected with the same key.

        Args:
            asked: ``(n, length)``.
            stored: ``(m, length)``.

        Returns:
            The cosine of each pair, ``(n, m)``.
        """
        found: Floats = _unit(asked) @ _unit(stored).T
        return found

    def stored(self, templates: Floats, people: NDArray[np.int64], key: int) -> Floats:
        """Returns what a store holds of its people.

        Args:
            templates: ``(n, size)``.
            people: Whose each is, ``(n,)``.
            key: The store's; where everybody has a key of their own, it follows from both.
        """
        if not self.own_keys:
            return self.protected(templates, key)
        rows = [
            self.protected(template[None], own_key(key, int(person)))
            for template, person in zip(templates, people, strict=True)
        ]
        return np.concatenate(rows)


def own_key(key: int, person: int) -> int:
    """Returns the key of one person in a store."""
    return int(np.random.default_rng([key, person, 4]).integers(2**62))


def renewed_key(key: int, number: int) -> int:
    """Returns the key of a store that was renewed so often; the store's own for 0."""
    return int(np.random.default_rng([key, number, 8]).integers(2**62)) if number else key


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    one: Floats = rows / np.maximum(length, 1e-12)
    return one
