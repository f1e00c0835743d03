"""Which class of a model is whom: names in a file or in a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darkroom.errors import DataError


def class_names(given: Path | Sequence[str]) -> tuple[str, ...]:
    """Returns the names of a model's classes in its order.

    Args:
        given: The names, or a file: ``.json`` with a list, with names by number
            (``{"0": "ada"}``) or numbers by name (``{"ada": 0}``); or text, one name a line.

    Raises:
        DataError: If the file cannot be read or holds something else, or a name comes twice.
    """
    names = _read(given) if isinstance(given, Path) else tuple(given)
    twins = {name for name in names if names.count(name) > 1} if len(names) < 5000 else set()
    if twins:
        raise DataError(
            f"classes: {min(twins)!r} is there twice: give each class a name of its own"
        )
    if not names:
        raise DataError("classes: no name: give the model's classes in order")
    return names


def _read(file: Path) -> tuple[str, ...]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: no readable list of classes: give UTF-8, one name a line"
        ) from error
    if file.suffix.lower() != ".json":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        return _ordered(json.loads(text))
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise DataError(
            f'{file}: no list of classes: give ["ada", "bob"], {{"0": "ada"}} or {{"ada": 0}}'
        ) from error


def _ordered(found: Any) -> tuple[str, ...]:
    """Returns names in order, whichever way round a table has them."""
    if isinstance(found, Mapping):
        by_number = all(str(key).isdecimal() for key in found)
        pairs = found.items() if by_number else ((n, name) for name, n in found.items())
        numbered = sorted((int(number), _name(name)) for number, name in pairs)
        # What is numbered with gaps has classes of which nothing is known.
        names = dict(numbered)
        if not 0 <= min(names) <= max(names) < 10**6:
            raise ValueError("no numbers of classes")
        return tuple(names.get(n, f"class-{n}") for n in range(max(names) + 1))
    if not isinstance(found, list):
        raise TypeError("neither a list nor a table")
    return tuple(_name(one) for one in found)


def _name(found: Any) -> str:
    """Returns a name, the first of several, such as WordNet's number of a class."""
    if isinstance(found, list):
        found = found[0]
    if isinstance(found, str | int):
        return str(found)
    raise TypeError("no name")
