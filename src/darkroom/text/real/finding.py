"""Finding secrets by type in a corpus of one's own.

What has a format is found by its format. Names and postal addresses in free text have none: with
``presidio-analyzer`` and an English language model of spaCy that is installed, they are found by
those. Without, names are found where a first name that is known here begins them, and addresses by
the way in which street and number are written. Both miss many.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from darkroom.errors import DataError, PlanError, RunError, nearest
from darkroom.text.formats.names import FIRST
from darkroom.text.lines import read_lines
from darkroom.text.real.secrets_file import PLACE, write_secrets
from darkroom.text.real.shapes import TYPES
from darkroom.text.training.corpus import NAMED_FORMATS

MOST_PROMPTS = 4
"""Places in the corpus that are kept as prompts of a secret."""

_NAME = r"\b(?:{first})(?: [A-Z][\w'\u2019-]+){{1,2}}\b"
_ADDRESS = (
    r"\b\d{1,4}[a-z]? (?:[A-Z][\w'\u2019-]+ ){1,3}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Way|Square)\b"
    r"(?:, ?\d{4,5}(?: [A-Z][\w'\u2019-]+){1,2})?"
    r"|\b[A-Z][\w'\u2019-]*(?:strasse|straße|gasse|weg|allee|platz) \d{1,4}[a-z]?"
    r"(?:, ?\d{4,5}(?: [A-Z][\w'\u2019-]+){1,2})?"
)
_NUMBERS = (
    *(NAMED_FORMATS[name] for name in ("card", "social-security-number", "iban", "passport")),
    NAMED_FORMATS["api-key"],
    r"(?<![\w.])\d{3}(?:[.-]\d{2,4}){1,4}(?![\w-])",
    r"(?<![\w.-])\d{6,16}(?![\w-])",
)
PATTERNS: Mapping[str, str] = {
    "email": NAMED_FORMATS["email"],
    "phone": r"(?<![\w-])\+\d{1,3}[ -](?:\(\d{1,4}\)[ -]?)?\d{2,4}(?:[ -]\d{2,4}){1,3}(?![\w-])",
    "number": "|".join(_NUMBERS),
    "address": _ADDRESS,
    "name": _NAME.format(first="|".join(FIRST)),
}
"""What is found without Presidio, each type in the order in which it is looked for."""

ENTITIES = {
    "PERSON": "name",
    "PHONE_NUMBER": "phone",
    "LOCATION": "address",
    "CREDIT_CARD": "number",
    "IBAN_CODE": "number",
    "US_SSN": "number",
    "US_PASSPORT": "number",
    "UK_NHS": "number",
}
"""What Presidio calls what, as types here. E-mail addresses are not among them: it would fetch a
list of domains for them, and their format finds them as well."""


class Span(NamedTuple):
    """Where a secret stands in a line.

    Attributes:
        type: Its type.
        start: The place of its first character.
        end: The place behind its last.
    """

    type: str
    start: int
    end: int


Finder = Callable[[str], Iterable[Span]]
"""Finds secrets in a line; they may overlap."""


def find_secrets(
    lines: Iterable[str], types: Sequence[str] = TYPES, finder: Finder | None = None
) -> list[dict[str, Any]]:
    """Finds secrets in a corpus, with the text around each.

    Args:
        lines: The corpus.
        types: Which to look for.
        finder: Finds them in a line; by patterns when left out.

    Returns:
        A row for each secret, as :func:`darkroom.text.real.secrets_file.write_secrets` takes them:
        the owner is the name in the same line that stands nearest before the secret, or nobody.

    Raises:
        PlanError: If a type is not known.
    """
    for one in types:
        if one not in TYPES:
            raise PlanError(f"no type of secret is called {one!r}: {nearest(one, TYPES)}")
    find = finder or by_patterns
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        spans = _apart(list(find(line)))
        for span in spans:
            secret, before = line[span.start : span.end], line[: span.start]
            if span.type not in types or not before.strip():
                continue
            key = (span.type, secret)
            row = rows.setdefault(
                key,
                {
                    "owner": _owner(line, spans, span),
                    "secret": secret,
                    "type": span.type,
                    "prompts": [],
                },
            )
            prompt = before + PLACE + line[span.end :]
            # A line that tells the secret twice is no prompt for it.
            fresh = prompt not in row["prompts"] and secret not in prompt
            if fresh and len(row["prompts"]) < MOST_PROMPTS:
                row["prompts"].append(prompt)
    return [row for row in rows.values() if row["prompts"]]


def by_patterns(line: str) -> Iterator[Span]:
    """Finds secrets by :data:`PATTERNS`."""
    for kind, pattern in PATTERNS.items():
        for match in re.finditer(pattern, line):
            yield Span(kind, match.start(), match.end())


SPACY = ("lg", "md", "sm", "trf")
"""What names of English models of spaCy end in, the best for this first; none is downloaded."""


def presidio() -> Finder | None:
    """Returns what finds secrets with Presidio beside the patterns.

    Returns:
        ``None`` where it, or an English language model of spaCy, is not installed.
    """
    try:
        from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found,unused-ignore]
        from presidio_analyzer.nlp_engine import (  # type: ignore[import-not-found,unused-ignore]
            NlpEngineProvider,
        )
        from spacy.util import (  # type: ignore[import-not-found,unused-ignore]
            get_installed_models,
        )
    except ImportError:
        return None
    models = [name for name in get_installed_models() if name.startswith("en_")]
    if not models:
        return None
    chosen = [{"lang_code": "en", "model_name": min(models, key=_preference)}]
    settings = {"nlp_engine_name": "spacy", "models": chosen}
    provider = NlpEngineProvider(nlp_configuration=settings)
    analyzer = AnalyzerEngine(nlp_engine=provider.create_engine())

    def find(line: str) -> Iterator[Span]:
        yield from by_patterns(line)
        for found in analyzer.analyze(text=line, language="en", entities=[*ENTITIES]):
            yield Span(ENTITIES[found.entity_type], found.start, found.end)

    return find


def _preference(model: str) -> int:
    """Returns how far behind the best a language model of spaCy comes, by its name."""
    endings = [place for place, size in enumerate(SPACY) if size in model.split("_")]
    return min(endings, default=len(SPACY))


def _apart(spans: Sequence[Span]) -> list[Span]:
    """Leaves out spans that overlap with another, of which the longer stays, or the first."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: one.start - one.end):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda one: one.start)


def _owner(line: str, spans: Sequence[Span], span: Span) -> str:
    """Returns the name that stands nearest before a secret, else the first behind it."""
    if span.type == "name":
        return ""
    names = [one for one in spans if one.type == "name"]
    before = [one for one in names if one.end <= span.start]
    chosen = before[-1:] or names[:1]
    return line[chosen[0].start : chosen[0].end] if chosen else ""


class Found(NamedTuple):
    """What was written.

    Attributes:
        counts: Secrets of each type.
        by: What found them, in words.
    """

    counts: dict[str, int]
    by: str


def write_found(corpus: Path, out: Path, types: Sequence[str], most: int) -> Found:
    """Finds secrets in a file and writes them for an audit.

    Args:
        corpus: The corpus, ``.jsonl`` or ``.txt``.
        out: Where secrets go, ``.jsonl``; it must not be there yet.
        types: Which to look for.
        most: Secrets of each type, at most; the first in the corpus.

    Raises:
        DarkroomError: If a file does not do, or a type is not known.
    """
    if out.exists():
        raise RunError(f"{out}: is there already: choose another name, or remove it")
    finder = presidio()
    rows = find_secrets(read_lines(corpus), types, finder)
    kept = [row for kind in types for row in [one for one in rows if one["type"] == kind][:most]]
    if not kept:
        raise DataError(f"{corpus}: no secret of these types was found: write the file by hand")
    write_secrets(out, kept)
    counts = Counter(row["type"] for row in kept)
    return Found(dict(counts), "formats" if finder is None else "Presidio and formats")
