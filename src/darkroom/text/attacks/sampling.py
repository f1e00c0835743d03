"""The secret in text that the model writes, where it tells no probabilities at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.errors import PlanError
from darkroom.text.attacks.bandits import mode_is_certain
from darkroom.text.attacks.base import Found, Guess, SecretAttack, SecretGoal, SecretProgress
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.targets.base import Sampling
from darkroom.text.targets.view import LanguageView


@dataclass(frozen=True)
class SamplingAttack(SecretAttack):
    """Asks for many continuations and takes the most frequent secret among them.

    The extraction that Hayes et al. 2024, "Measuring memorization in language models via
    probabilistic extraction", call (n, p)-discoverable: a secret that the model writes with
    probability p_z appears in n continuations with probability 1-(1-p_z)^n
    (:mod:`darkroom.text.exposure.discoverable`). That paper computes p_z from the weights and knows
    the secret; here the attacker has text alone and must say which candidate it is, which is the
    estimation of a mode: Jain et al. 2022 tell when the most frequent one is surely the most
    likely (:func:`darkroom.text.attacks.bandits.mode_is_certain`), and asking ends there.

    Attributes:
        rows: The most continuations of a goal.
        temperature: Divides logits.
        top_k: Only so many of the likeliest tokens are drawn from; 0 for all.
        confidence: That the most frequent secret is the most likely, where it is called certain.
        anywhere: Tokens that are read beyond the secret's place, in all of which it may stand, as
            of a model that says something else first; 0 for its own place alone.
    """

    name: ClassVar[str] = "sampling"
    access: ClassVar[LanguageAccess] = LanguageAccess.SAMPLES
    paper: ClassVar[str] = "Hayes et al. 2024, Measuring memorization via probabilistic extraction"
    masked: ClassVar[bool | None] = False

    rows: int = 64
    temperature: float = 1.0
    top_k: int = 0
    confidence: float = 0.95
    anywhere: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that make no sense.

        Raises:
            PlanError: If one is out of its range.
        """
        least = min(self.temperature, self.top_k, self.anywhere)
        if self.rows < 1 or least < 0 or not 0 < self.confidence < 1:
            raise PlanError(
                "attack sampling: rows must be 1 or more, temperature, top_k and anywhere 0 or "
                "more, and confidence between 0 and 1"
            )

    def expected_queries(self) -> int:
        """Returns the rows a goal that the attack spends when nothing ends it early."""
        return self.rows

    def _search(
        self, view: LanguageView, goals: Sequence[SecretGoal], rng: np.random.Generator
    ) -> Iterator[SecretProgress]:
        counts: list[Counter[str]] = [Counter() for _ in goals]
        sampling = Sampling(self.temperature, self.top_k)
        drawn = np.zeros(len(goals), np.int64)
        yield SecretProgress(view.ledger.spent, self._found(counts, goals, drawn))
        width = 1
        while True:
            owners = self._owners(view, counts, goals, drawn, width)
            if not len(owners):
                break
            prompts, length = [], 1
            for owner in owners.tolist():
                prompt, lead = split_prompt(goals[owner].before)
                prompts.append(prompt)
                automaton = goals[owner].secrets.automaton
                longest = automaton.lengths[automaton.start][1] + len(goals[owner].end.encode())
                length = max(length, longest + len(lead.encode()))
            texts = view.samples(prompts, length + self.anywhere, sampling, owners, rng)
            np.add.at(drawn, owners, 1)
            for owner, text in zip(owners.tolist(), texts, strict=True):
                read = find_secret if self.anywhere else read_secret
                secret = read(text, goals[owner])
                if secret is not None:
                    counts[owner][secret] += 1
            width = min(2 * width, 64)
            yield SecretProgress(view.ledger.spent, self._found(counts, goals, drawn))

    def _owners(
        self,
        view: LanguageView,
        counts: Sequence[Counter[str]],
        goals: Sequence[SecretGoal],
        drawn: np.ndarray[tuple[int], np.dtype[np.int64]],
        width: int,
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Returns the goal of each continuation to ask for next."""
        total = view.ledger.limit.total
        room = math.inf if total is None else total - view.ledger.total
        owners: list[int] = []
        for number, goal in enumerate(goals):
            if mode_is_certain(counts[number], goal.secrets.size, self.confidence):
                continue
            left = view.ledger.remaining(number)
            most = self.rows - int(drawn[number])
            most = most if left is None else min(most, left)
            owners += [number] * int(max(0, min(width, most, room - len(owners))))
        return np.array(owners, np.int64)

    def _found(
        self,
        counts: Sequence[Counter[str]],
        goals: Sequence[SecretGoal],
        drawn: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> tuple[Found, ...]:
        return tuple(
            Found(
                tuple(
                    Guess(secret, math.log2(int(n) / times))
                    for secret, times in seen.most_common(8)
                ),
                mode_is_certain(seen, goal.secrets.size, self.confidence),
                0.0,
            )
            for seen, goal, n in zip(counts, goals, drawn, strict=True)
        )


def split_prompt(before: str) -> tuple[str, str]:
    """Returns a prompt without the white space at its end, and that white space.

    Tokens often begin with a space; a prompt that ends in one makes a model go on from a token that
    it rarely saw.
    """
    prompt = before.rstrip()
    return (prompt, before[len(prompt) :]) if prompt else (before, "")


def read_secret(text: str, goal: SecretGoal) -> str | None:
    """Returns the secret with which a continuation starts, or ``None``.

    Args:
        text: The continuation of :func:`split_prompt`'s prompt; some servers leave out the white
            space at its start.
        goal: Whose format it must have.
    """
    lead = split_prompt(goal.before)[1]
    text = text[len(lead) :] if lead and text.startswith(lead) else text
    return longest_member(text, goal.secrets, goal.end)


def find_secret(text: str, goal: SecretGoal) -> str | None:
    """Returns the first secret in a continuation, wherever it starts, or ``None``.

    Args:
        text: The continuation.
        goal: Whose format it must have.
    """
    starts = (longest_member(text[place:], goal.secrets, goal.end) for place in range(len(text)))
    return next((found for found in starts if found is not None), None)


def longest_member(text: str, secrets: SecretFormat, end: str) -> str | None:
    """Returns the longest secret with which a text starts, or ``None``.

    Args:
        text: The text.
        secrets: The format.
        end: What must follow the secret.
    """
    automaton, state, found = secrets.automaton, secrets.automaton.start, None
    whole = text.encode()
    for place in range(len(whole) + 1):
        if automaton.accepting[state] and whole[place:].startswith(end.encode()):
            found = whole[:place].decode()
        onward = automaton.step(state, whole[place]) if place < len(whole) else None
        if onward is None:
            break
        state = onward
    return found
