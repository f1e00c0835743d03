"""What docstrings say, as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

HEADING = "Attributes:"
ENTRY = re.compile(r"(\w+(?:, \w+)*): ?(.*)")
ROLE = re.compile(r":\w+:`[.~]?([^`]+)`")


def summary_of(kind: type) -> str:
    """Returns what a class is, without its attributes, in Markdown."""
    text = _own_text(kind).partition(f"\n{HEADING}\n")[0]
    return markdown(text.removeprefix(f"{HEADING}\n"))


def meaning_of(kind: type, name: str) -> str:
    """Returns what a field is for, as the class or the nearest base that tells of it has it.

    Returns:
        Markdown on one line; empty where no class tells.
    """
    for one in kind.__mro__:
        for names, meaning in _entries(_own_text(one)):
            if name in names.split(", "):
                return markdown(meaning)
    return ""


def markdown(text: str) -> str:
    """Turns reStructuredText's roles and code into Markdown, and lists into lists of their own.

    >>> markdown("See :class:`a.b.C` and ``d``.")
    'See `C` and `d`.'
    """
    plain = ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    plain = plain.replace("``", "`")
    return re.sub(r"(:\n)\n?((?: +- .*(?:\n +\S.*)*\n?(?:\n(?= +- ))?)+)", _as_list, plain).strip()


def _as_list(found: re.Match[str]) -> str:
    return f"{found[1]}\n{dedent(found[2])}"


def _own_text(kind: type) -> str:
    return inspect.cleandoc(vars(kind).get("__doc__") or "")


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Yields names and meanings from a Google docstring's section of attributes.

    Several names with commas between may have one meaning.
    """
    _, heading, rest = f"\n{text}".partition(f"\n{HEADING}\n")
    if not heading:
        return
    name, words = "", list[str]()
    for line in rest.splitlines():
        if line and not line.startswith(" "):
            break
        begun = ENTRY.fullmatch(line[4:]) if line[4:5] not in ("", " ") else None
        if begun is None:
            words.append(line.strip())
            continue
        if name:
            yield name, " ".join(words).strip()
        name, words = begun[1], [begun[2]]
    if name:
        yield name, " ".join(words).strip()
