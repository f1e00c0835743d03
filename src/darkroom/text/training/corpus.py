"""Training defences for language models that change the corpus: deduplication and scrubbing.

Both change the lines of a course before it is trained as its recipe says. Differentially private
training of a language model is in :mod:`darkroom.text.training.private`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from darkroom.errors import PlanError
from darkroom.text.training.base import TextTraining
from darkroom.text.training.course import TextCourse

_WORD = re.compile(r"\w+")


class Cleaned(NamedTuple):
    """A corpus after a defence.

    Attributes:
        lines: What is left, in order.
        removed: Lines that were dropped.
        replaced: Strings that were replaced.
    """

    lines: list[str]
    removed: int
    replaced: int


@dataclass(frozen=True)
class Deduplication(TextTraining):
    """Keeps one of all lines that are nearly the same.

    After Lee et al., Deduplicating Training Data Makes Language Models Better (ACL 2022), and
    Kandpal et al. 2022: what is repeated is memorised far more often.

    Differences from the papers: lines take the place of documents and of substrings; two lines are
    nearly the same when their sets of word n-grams overlap by ``similarity`` or more, which is
    counted exactly for lines that share an n-gram, where NearDup estimates it by MinHash.

    Attributes:
        similarity: The Jaccard similarity at which a later line is dropped, in (0, 1].
        words: Words in an n-gram, 1 or more.
        keep: How often nearly the same may stand, 1 or more.
    """

    name: ClassVar[str] = "deduplication"
    paper: ClassVar[str] = "Lee et al. 2022; Kandpal et al. 2022"

    similarity: float = 0.8
    words: int = 2
    keep: int = 1

    def __post_init__(self) -> None:
        """Refuses what drops everything.

        Raises:
            PlanError: If a value is out of its range.
        """
        if not 0 < self.similarity <= 1 or self.words < 1 or self.keep < 1:
            raise PlanError(
                f"deduplication: similarity {self.similarity:g}, words {self.words}, keep "
                f"{self.keep}: give in (0, 1], 1 or more, and 1 or more"
            )

    def prepare(self, course: TextCourse) -> TextCourse:
        """Drops lines of a course; see :meth:`TrainingDefense.prepare`."""
        return replace(course, lines=self.clean(course.lines).lines)

    def clean(self, lines: Iterable[str]) -> Cleaned:
        """Drops lines; of nearly the same ones, the first stay."""
        kept: list[str] = []
        shingles: list[frozenset[tuple[str, ...]]] = []
        holders: dict[tuple[str, ...], list[int]] = {}
        removed = 0
        for line in lines:
            own = self._shingles(line)
            shared: dict[int, int] = {}
            for shingle in own:
                for place in holders.get(shingle, ()):
                    shared[place] = shared.get(place, 0) + 1
            alike = sum(
                count >= self.similarity * (len(own) + len(shingles[place]) - count)
                for place, count in shared.items()
            )
            if alike >= self.keep:
                removed += 1
                continue
            for shingle in own:
                holders.setdefault(shingle, []).append(len(kept))
            kept.append(line)
            shingles.append(own)
        return Cleaned(kept, removed, 0)

    def _shingles(self, line: str) -> frozenset[tuple[str, ...]]:
        words = _WORD.findall(line.lower()) or [line]
        count = max(1, len(words) - self.words + 1)
        return frozenset(tuple(words[place : place + self.words]) for place in range(count))


NAMED_FORMATS: Mapping[str, str] = {
    "email": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    "card": r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)",
    "social-security-number": r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)",
    "phone": r"(?<![\w-])\+?\d{1,3}[ -]?(?:\(\d{1,4}\)[ -]?)?\d{2,4}(?:[ -]\d{2,4}){2,3}(?![\w-])",
    "iban": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b",
    "passport": r"\b[CFGHJKLMNPRTVWXYZ](?=[A-Z]{0,7}\d)[0-9CFGHJKLMNPRTVWXYZ]{8}\b",
    "api-key": r"\b(?:sk|pk|ghp|xox[abp])[-_][A-Za-z0-9_-]{16,}\b",
}
"""Formats that a scrubber knows by name, as regular expressions."""


@dataclass(frozen=True)
class Scrubbing(TextTraining):
    """Replaces what has the format of a secret by the name of the format.

    It finds what its formats describe and nothing else: a secret in words, a name or an address
    goes through. Presidio installs, but what it knows beyond patterns, names and addresses, comes
    from a spaCy model that it downloads when it is first used, so it is not used here; lines that
    it has scrubbed can be given to the same training.

    Attributes:
        formats: Names among :data:`NAMED_FORMATS`, or regular expressions; when left out, all
            names and the formats of secrets that the course knows.
    """

    name: ClassVar[str] = "scrubbing"
    paper: ClassVar[str] = ""

    formats: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Compiles the formats once, to refuse wrong ones.

        Raises:
            PlanError: If there is none, or one is no regular expression.
        """
        if self.formats is not None and not self.formats:
            raise PlanError("scrubbing: give at least one format")
        self._expression()

    def prepare(self, course: TextCourse) -> TextCourse:
        """Replaces secrets in the lines of a course; see :meth:`TrainingDefense.prepare`."""
        known = self if self.formats is not None else Scrubbing((*course.formats, *NAMED_FORMATS))
        return replace(course, lines=known.clean(course.lines).lines)

    def clean(self, lines: Iterable[str]) -> Cleaned:
        """Replaces secrets by ``[NAME]``."""
        expression, names = self._expression()
        replaced = 0

        def name(match: re.Match[str]) -> str:
            nonlocal replaced
            replaced += 1
            return names[str(match.lastgroup)]

        return Cleaned([expression.sub(name, line) for line in lines], 0, replaced)

    def _expression(self) -> tuple[re.Pattern[str], dict[str, str]]:
        names, parts = {}, []
        chosen = tuple(NAMED_FORMATS) if self.formats is None else self.formats
        for place, word in enumerate(dict.fromkeys(chosen)):
            pattern = NAMED_FORMATS.get(word, word)
            try:
                # Inner groups would be taken for the format's own.
                inner = re.compile(pattern)
            except re.error as error:
                raise PlanError(
                    f"scrubbing: {word!r} is neither a format ({', '.join(NAMED_FORMATS)}) nor a "
                    f"regular expression ({error})"
                ) from error
            if inner.groups:
                raise PlanError(f"scrubbing: {word!r} has groups: write (?:...) for each")
            parts.append(f"(?P<f{place}>{pattern})")
            names[f"f{place}"] = f"[{word.upper()}]" if word in NAMED_FORMATS else "[SECRET]"
        return re.compile("|".join(parts)), names
