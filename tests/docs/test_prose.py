"""Prose that is read in one go: no sentence runs on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.reference.markup import NOTICE

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])
MOST_WORDS = 45
PATHS = re.compile(r"`((?:benchmarks|examples|src|tests|tools)/[\w./-]+)")


def _sentences(text: str) -> Iterator[str]:
    """Yields the sentences of paragraphs and of items, without code, tables and headings."""
    plain = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", plain):
        if not block.lstrip().startswith(("|", "#", "<", "![", "::")):
            yield from re.split(r"(?<=[.!?])\s+", " ".join(block.split()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_sentence_runs_on(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if NOTICE in text:
        return
    long = [one for one in _sentences(text) if len(one.split()) > MOST_WORDS]
    assert not long, "make two sentences of it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = PATHS.findall(page.read_text(encoding="utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]


def test_long_sentences_are_found() -> None:
    words = " ".join(["word"] * 60)
    assert [one for one in _sentences(f"# A\n\n{words}.\n") if len(one.split()) > MOST_WORDS]
    assert not [one for one in _sentences(f"```\n{words}\n```\n") if len(one.split()) > MOST_WORDS]
