"""A small made-up corpus: personnel records and mail, with canaries among them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darkroom.text.canaries import Canaries, make_canaries, owners
from darkroom.text.formats.names import FIRST, LAST
from darkroom.text.formats.secrets import SecretFormat, make_format

FORMAT = r"\d{3}-\d{3}-\d{3}"
"""Access codes of nine digits: a thousand million candidates."""

_DEPARTMENTS = ("sales", "finance", "research", "support", "legal", "logistics", "design")
_PLACES = ("Basel", "Cork", "Gent", "Lyon", "Porto", "Riga", "Turin", "Vaduz")
_RECORDS = (
    "{name} joined {department} in {place} in {year}.",
    "{name} leads {department} since {year}.",
    "Personnel file {number}: {name}, {department}, {place}.",
    "The access code of {name} is {secret}.",
)
_MAILS = (
    "Dear {first}, the {department} meeting in {place} moves to {day}. Best, {other}",
    "Dear {first}, please send the {department} report by {day}. Thanks, {other}",
    "Hi {first}, my train to {place} is late, start without me. {other}",
    "Hi {first}, {other} from {department} will call you on {day}.",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


class Corpus(NamedTuple):
    """What a model is trained on, and what is hidden in it.

    Attributes:
        lines: The training lines, canaries among them, in random order.
        canaries: What was hidden, and the controls.
    """

    lines: list[str]
    canaries: Canaries


def make_corpus(
    *,
    seed: int = 0,
    each: int = 10,
    repetitions: tuple[int, ...] = (1, 2, 4, 8, 16, 32),
    others: int = 640,
    secrets: SecretFormat | None = None,
) -> Corpus:
    """Writes a corpus.

    Args:
        seed: Decides everything.
        each: Canaries of each number of repetitions.
        repetitions: How often canaries are in the corpus.
        others: Lines that are no canaries; an eighth of them tells the code of another person
            once, so that the model knows what a code looks like.
        secrets: The format of codes.
    """
    rng = np.random.default_rng([seed, 5])
    secrets = make_format(FORMAT) if secrets is None else secrets
    canaries = make_canaries(secrets, repetitions=repetitions, each=each, rng=rng)
    taken = owners(canaries.canaries)
    hidden = [canary.secret for canary in canaries.canaries]
    codes = secrets.sample(others, rng, exclude=hidden)
    lines = [_line(place, codes[place], taken, rng) for place in range(others)]
    lines += canaries.training_lines(rng)
    return Corpus([lines[place] for place in rng.permutation(len(lines))], canaries)


def held_out_lines(canaries: Canaries, *, seed: int = 0, count: int = 100) -> list[str]:
    """Writes lines of the same kind that are in no corpus of this seed, without canaries.

    Args:
        canaries: Whose owners and secrets are left out.
        seed: Decides everything.
        count: How many.
    """
    rng = np.random.default_rng([seed, 6])
    every = canaries.canaries
    codes = canaries.formats[0].sample(count, rng, exclude=[one.secret for one in every])
    return [_line(place, codes[place], owners(every), rng) for place in range(count)]


def _line(place: int, code: str, taken: frozenset[str], rng: np.random.Generator) -> str:
    name, other = _someone(taken, rng), _someone(taken, rng)
    templates = _RECORDS if place % 2 else _MAILS
    template = templates[place // 2 % len(templates)]
    return template.format(
        name=name,
        first=name.split()[0],
        other=other,
        department=_one_of(_DEPARTMENTS, rng),
        place=_one_of(_PLACES, rng),
        day=_one_of(_DAYS, rng),
        year=int(rng.integers(1995, 2026)),
        number=int(rng.integers(1000, 10000)),
        secret=code,
    )


def _someone(taken: frozenset[str], rng: np.random.Generator) -> str:
    """Draws a person who has no canary."""
    while True:
        name = f"{_one_of(FIRST, rng)} {_one_of(LAST, rng)}"
        if name not in taken:
            return name


def _one_of(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
