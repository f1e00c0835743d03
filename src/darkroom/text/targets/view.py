"""All that an attack sees of a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.text.targets.base import (
    Blank,
    Charge,
    Codec,
    Floats,
    Integers,
    LanguageTarget,
    NextTokens,
    Prompt,
    Sampling,
    Tokens,
    TokenTrie,
)


class LanguageView:
    """A language model cut down to one access level, with a ledger charged before each answer.

    Attributes:
        access: What a query returns.
        ledger: Counts the rows.
        defense: What is changed of log-probabilities, as far as the attacker knows of it. It
            knows neither the noise that is drawn nor the answers before it.
    """

    def __init__(
        self,
        target: LanguageTarget,
        access: LanguageAccess,
        ledger: QueryLedger,
        *,
        defense: LogprobDefense | None = None,
        noise: np.random.Generator | None = None,
        told: bool = True,
    ) -> None:
        """Cuts the target down.

        Args:
            target: The model as its owner reaches it.
            access: What a query shall return.
            ledger: Is charged for every row.
            defense: What is changed of log-probabilities; who has the weights sees through it.
            noise: What the defence draws from.
            told: Whether the attacker knows of the defence; one who does not takes its answers
                for the model's own.

        Raises:
            TargetError: If the target cannot give that much.
        """
        if not target.access.includes(access):
            raise TargetError(
                f"target {target.name} answers {target.access} at most, but the attack needs "
                f"{access}: choose an attack for {target.access}"
            )
        self._target = target
        self._noise = noise or np.random.default_rng(0)
        self.access = access
        self.ledger = ledger
        self._defense = None if access is LanguageAccess.WEIGHTS else defense
        self.defense = self._defense if told else None

    @property
    def effect(self) -> Effect:
        """What that defence does to what can be learned."""
        return UNCHANGED if self.defense is None else self.defense.effect

    @property
    def masked(self) -> bool:
        """Whether the target fills masks."""
        return self._target.masked

    @property
    def codec(self) -> Codec:
        """The tokenizer."""
        return self._target.codec

    @property
    def knows_tokens(self) -> bool:
        """Whether the canonical tokens of a text are known."""
        return self._target.knows_tokens

    def trie(self) -> DefendedTrie:
        """Returns an empty trie of prefixes.

        Raises:
            TargetError: If the access level does not allow it.
        """
        self._require(LanguageAccess.TOP_K)
        return DefendedTrie(self._target.trie(), self)

    def surprises(
        self, prompts: Sequence[str], secrets: Sequence[str], goals: NDArray[np.int64]
    ) -> Floats:
        """Returns how surprising each secret is behind its prompt, in bits, ``(n,)``.

        Args:
            prompts: The texts before.
            secrets: The secrets, as many.
            goals: The position of the goal that each serves, ``(n,)``.

        Raises:
            TargetError: If the access level does not allow it, or the target does not tell.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(LanguageAccess.LOGPROBS)
        scores = self._target.score(prompts, secrets, self.charge(goals))
        told = [self.told(one) for one in scores]
        return np.array([-one.sum() / np.log(2) for one in told])

    def fillings(
        self, fillings: Sequence[Tokens], blank: Callable[[Tokens], Blank], goal: int
    ) -> Floats:
        """Returns the pseudo-log-likelihood of each filling as a surprise in bits, ``(n,)``.

        Args:
            fillings: The tokens of each.
            blank: Returns the text around a filling.
            goal: The position of the goal that is charged, a row for each token.

        Raises:
            TargetError: If the access level does not allow it, or the target fills no masks.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        self._require(LanguageAccess.LOGPROBS)
        owners = np.full(len(fillings), goal, np.int64)
        blanks = [blank(filling) for filling in fillings]
        scores = self._target.score_fillings(blanks, fillings, self.charge(owners))
        return np.array([-self.told(one).sum() / np.log(2) for one in scores])

    def samples(
        self,
        prompts: Sequence[str],
        length: int,
        sampling: Sampling,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> list[str]:
        """Continues each prompt once; see :meth:`LanguageTarget.sample`.

        Raises:
            TargetError: If the target cannot.
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        return self._target.sample(prompts, length, sampling, rng, self.charge(goals))

    def charge(self, goals: NDArray[np.int64]) -> Charge:
        """Returns what charges rows of a call to the goals that they serve."""
        return Charge(self.ledger, goals)

    def told(self, logprobs: Floats) -> Floats:
        """Returns what the defence leaves of the log-probabilities of given tokens."""
        if self._defense is None:
            return logprobs
        return self._defense.of_text(logprobs, self._noise)

    def seen(self, answers: NextTokens) -> NextTokens:
        """Returns what the access level and the defence leave of what may follow."""
        if self._defense is None:
            return answers
        logprobs = self._defense(answers.logprobs.astype(np.float64), self._noise)
        if self.defense is None:
            return NextTokens(logprobs, answers.unseen)
        hidden = np.isneginf(logprobs) & ~np.isneginf(answers.logprobs)
        least = np.where(np.isneginf(logprobs), np.inf, logprobs).min(axis=1)
        unseen = np.where(hidden.any(axis=1), least, answers.unseen)
        return NextTokens(logprobs, np.maximum(unseen, answers.unseen))

    def _require(self, access: LanguageAccess) -> None:
        if not self.access.includes(access):
            raise TargetError(f"this view allows {self.access}, but the attack asked for {access}")


class DefendedTrie:
    """A trie of prefixes whose rows are charged to goals; see :class:`TokenTrie`."""

    def __init__(self, trie: TokenTrie, view: LanguageView) -> None:
        """Wraps a target's trie.

        Args:
            trie: The target's.
            view: Charges, and changes answers.
        """
        self._trie = trie
        self._view = view

    def open(
        self, prompts: Sequence[Prompt], goals: NDArray[np.int64]
    ) -> tuple[Integers, NextTokens]:
        """Starts a prefix for each prompt.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        numbers, answers = self._trie.open(prompts, self._view.charge(goals))
        return numbers, self._view.seen(answers)

    def extend(
        self, prefixes: Integers, tokens: Integers, goals: NDArray[np.int64]
    ) -> tuple[Integers, NextTokens]:
        """Grows prefixes by one token each.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        numbers, answers = self._trie.extend(prefixes, tokens, self._view.charge(goals))
        return numbers, self._view.seen(answers)
