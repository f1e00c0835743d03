"""Blocks of code in Markdown pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<options>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')
SKIP = re.compile(r"<!-- not run: (.+?) -->\s*$")
"""Right before a block: why nothing runs it."""


class Block(NamedTuple):
    """A block of code.

    Attributes:
        page: The page that has it.
        line: Where it begins there.
        language: Such as ``python``; empty where the page does not say.
        title: The file that it is, or nothing.
        code: What it holds.
        reason: Why nothing runs it; empty for one that is run.
    """

    page: Path
    line: int
    language: str
    title: str
    code: str
    reason: str

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path, *languages: str) -> Iterator[Block]:
    """Yields the blocks of a page in their order.

    Args:
        page: A Markdown file.
        languages: Which to yield; all when left out.
    """
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        if languages and found["language"] not in languages:
            continue
        indent = len(found["indent"])
        title = TITLE.search(found["options"])
        skip = SKIP.search(text, 0, found.start())
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            title=title[1] if title else "",
            code="".join(line[indent:] for line in found["code"].splitlines(keepends=True)),
            reason=skip[1] if skip else "",
        )
