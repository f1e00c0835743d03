"""Files of training lines: plain text, or JSON Lines of texts or of conversations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from darkroom.errors import DataError, PlanError
from darkroom.files import write_private
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.conversations import MARK, Turn, text_of, turns_of


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Writes training lines, as JSON Lines with a ``text`` field or as plain text.

    Args:
        path: Ending in ``.jsonl`` or ``.txt``; readable by its owner alone, for it holds secrets.
        lines: The lines.

    Raises:
        PlanError: If the name ends otherwise.
        RunError: If it cannot be written.
    """
    if path.suffix not in (".jsonl", ".txt"):
        raise PlanError(f"{path}: training lines are written as .jsonl or .txt: rename it")
    if path.suffix == ".txt" and any(line.startswith(MARK) or "\n" in line for line in lines):
        raise PlanError(
            f"{path}: conversations and texts of several lines are written as .jsonl: rename it"
        )
    if path.suffix == ".jsonl":
        lines = [json.dumps(_record(line), ensure_ascii=False) for line in lines]
    write_private(path, "".join(f"{line}\n" for line in lines).encode())


def read_lines(path: Path) -> list[str]:
    """Reads lines as :func:`write_lines` writes them; empty ones are left out.

    Args:
        path: Ending in ``.jsonl`` or ``.txt``.

    Raises:
        PlanError: If the name ends otherwise.
        DataError: If it cannot be read, holds no line, or a line is no object with a text.
    """
    if path.suffix not in (".jsonl", ".txt"):
        raise PlanError(f"{path}: lines are read from .jsonl or .txt: rename it")
    try:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        if path.suffix == ".jsonl":
            lines = [_text(json.loads(line)) for line in lines]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: give a file of lines") from error
    except (ValueError, KeyError, TypeError) as error:
        # The library's message may quote a secret.
        raise DataError(
            f"{path}: not UTF-8, or a line is not an object with a text ({type(error).__name__}): "
            'write each as {"text": "..."} or {"messages": [{"role": "user", "content": "..."}]}'
        ) from None
    if not lines:
        raise DataError(f"{path}: no line: give at least one")
    return lines


def lines_for(target: LanguageTarget, path: Path | None) -> tuple[str, ...]:
    """Returns the lines of a file, if there is one, as a model is given them.

    Args:
        target: The model.
        path: As :func:`read_lines` takes it.

    Raises:
        DarkroomError: As :func:`read_lines`, or if the model takes no such line.
    """
    return () if path is None else tuple(target.line(line) for line in read_lines(path))


def _record(line: str) -> dict[str, object]:
    if not line.startswith(MARK):
        return {"text": line}
    return {"messages": [turn._asdict() for turn in turns_of(line)]}


def _text(record: Mapping[str, object]) -> str:
    """Returns a text; a conversation begins with :data:`MARK`."""
    messages = record.get("messages")
    if not isinstance(messages, list):
        return str(record["text"])
    return MARK + text_of([Turn(str(one["role"]), str(one["content"])) for one in messages])
