"""What attacks on secrets have in common: their goals and what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple, cast, final

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.errors import PlanError
from darkroom.text.formats.filling import FillTokens
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.formats.tokens import Known, SecretTokens
from darkroom.text.targets.view import LanguageView


class SecretGoal(NamedTuple):
    """A secret to find: what the attacker knows of it.

    Attributes:
        before: The text before it.
        after: The text behind it; models that fill masks are shown it, and others go on into it
            where a token may hold the secret's end with it, or secrets differ in length.
        secrets: Its format.
    """

    before: str
    after: str
    secrets: SecretFormat

    @property
    def end(self) -> str:
        """What must follow a secret for it to be complete."""
        automaton = self.secrets.automaton
        shortest, longest = automaton.lengths[automaton.start]
        return "" if shortest == longest else self.after[:1]


class Guess(NamedTuple):
    """A candidate with what the model says of it.

    Attributes:
        secret: The candidate. Never written anywhere in the clear unless asked to.
        surprise: Its negative log-probability in bits; for frequencies, of its share.
    """

    secret: str
    surprise: float


class Found(NamedTuple):
    """What an attack has of one goal.

    Attributes:
        guesses: The best first; perhaps none.
        certain: Whether the first guess is surely the one that the attack looks for: the most
            likely of all candidates, at the attack's confidence where answers are random.
        floor: No candidate that is not among the guesses is less surprising than this, in bits;
            0 where nothing is known.
    """

    guesses: tuple[Guess, ...]
    certain: bool
    floor: float

    @property
    def first(self) -> str | None:
        """The secret that the attack takes for the one; ``None`` where it has no guess."""
        return self.guesses[0].secret if self.guesses else None


class SecretProgress(NamedTuple):
    """The best that an attack has after some queries.

    Attributes:
        queries: Rows charged to each goal so far, int64 ``(goals,)``.
        found: What it has of each goal.
    """

    queries: NDArray[np.int64]
    found: tuple[Found, ...]


NOTHING = Found((), certain=False, floor=0.0)


class Places:
    """The places of goals in their texts, as a view's tokenizer cuts them.

    Goals that share a format share what is known of its spelling, and all that ask with one
    tokenizer share the places. A server's tokens are learned as it names them, so there nothing is
    shared.
    """

    def __init__(self, view: LanguageView) -> None:
        """Starts empty.

        Args:
            view: Whose tokenizer cuts.
        """
        self._view = view
        self._shared = _shared(cast("Hashable", view.codec)) if view.knows_tokens else _Shared()

    def of(self, goal: SecretGoal, also: Sequence[str] = ()) -> SecretTokens:
        """Returns a goal's place.

        Args:
            goal: The secret to find.
            also: Secrets that must fit there, where an audit knows them.

        Raises:
            TargetError: If the tokenizer cannot spell the format there.
        """
        kind = FillTokens if self._view.masked else SecretTokens
        key = (kind, id(goal.secrets), goal.before, goal.after, tuple(also))
        place = self._shared.places.get(key)
        if place is None:
            place = self._shared.places[key] = kind(
                goal.secrets,
                self._view.codec,
                goal.before,
                goal.after,
                knows_tokens=self._view.knows_tokens,
                known=self._shared.known,
                also=also,
            )
        return place


class _Shared:
    """What is known of a tokenizer, and the places found with it.

    Attributes:
        known: Of formats.
        places: By all that decides them. A place keeps its format alive, whose identity is a part.
    """

    def __init__(self) -> None:
        self.known = Known()
        self.places: dict[tuple[object, ...], SecretTokens] = {}


@lru_cache(maxsize=4)
def _shared(codec: Hashable) -> _Shared:  # noqa: ARG001 - the key
    return _Shared()


class SecretAttack(ABC):
    """A search for secrets that a language model has learned.

    Subclasses write ``_search`` alone; :meth:`run` checks what they are given.

    Attributes:
        name: The word used in plans.
        access: The least access that the attack needs.
        paper: The source, in one line.
        masked: Whether it is for models that fill masks, for those that continue text, or (None)
            for both.
    """

    name: ClassVar[str]
    access: ClassVar[LanguageAccess]
    paper: ClassVar[str] = ""
    masked: ClassVar[bool | None] = None

    @abstractmethod
    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""

    @final
    def check_kind(self, *, masked: bool) -> None:
        """Refuses a model that the attack is not for.

        Args:
            masked: Whether the model fills masks.

        Raises:
            PlanError: As above.
        """
        if self.masked is not None and masked is not self.masked:
            kind = "fills masks" if masked else "continues text"
            raise PlanError(f"attack {self.name} is not for a model that {kind}: choose another")

    def adaptation(self, view: LanguageView) -> tuple[str, ...]:  # noqa: ARG002 - for those that adapt
        """Says, in sentences, what the attack does about what the view withholds.

        Args:
            view: The target as the attacker sees it; nothing is asked of it.
        """
        return ()

    @final
    def run(
        self, view: LanguageView, goals: Sequence[SecretGoal], *, rng: np.random.Generator
    ) -> Iterator[SecretProgress]:
        """Attacks all goals together and yields the best so far at query milestones.

        Args:
            view: The target as the attacker sees it. Its ledger counts goals by their position.
            goals: At least one.
            rng: The only source of randomness: the same seed gives the same answers.

        Yields:
            Progress, with queries that never fall. The last is the answer.

        Raises:
            PlanError: If the view allows too little, the model is of the wrong kind, or there is
                no goal.
        """
        if not view.access.includes(self.access):
            raise PlanError(
                f"attack {self.name} needs {self.access} but the view allows {view.access}: "
                "choose another attack or access"
            )
        self.check_kind(masked=view.masked)
        if not goals:
            raise PlanError("there is no secret to look for: give at least one")
        return self._search(view, goals, rng)

    @abstractmethod
    def _search(
        self, view: LanguageView, goals: Sequence[SecretGoal], rng: np.random.Generator
    ) -> Iterator[SecretProgress]:
        """Does the work of :meth:`run`, whose contract holds."""
