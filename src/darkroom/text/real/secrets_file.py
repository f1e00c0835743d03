"""The file of an owner's real secrets: JSON Lines or CSV, for its owner alone.

Secrets, owners and prompts are in no representation and in no message; a secret is named by the
line of the file that it stands in, which tells nothing to whoever has not the file.
"""

from __future__ import annotations

import csv
import io
import json
import secrets as entropy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from darkroom.errors import DataError, RunError
from darkroom.files import read_private, write_private

PLACE = "{secret}"
"""Stands in a prompt where the secret does."""

SUFFIXES = (".jsonl", ".csv")


@dataclass(frozen=True)
class RealSecret:
    """A secret of the file.

    Attributes:
        line: Where it stands, from 1.
        type: Such as ``name``, ``email``, ``phone``, ``address`` or ``number``.
        owner: Whose it is; personal data like the secret itself.
        secret: The secret.
        prompts: Texts around it, ``(before, after)``.
        facts: What an attacker may know of the owner besides.
        format: The format as a plan writes it; the shape of the secret where that is left out.
    """

    line: int
    type: str
    owner: str = field(repr=False)
    secret: str = field(repr=False)
    prompts: tuple[tuple[str, str], ...] = field(repr=False)
    facts: tuple[str, ...] = field(default=(), repr=False)
    format: str | None = field(default=None, repr=False)


class _Row(BaseModel):
    """A row as the file has it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    secret: str = Field(min_length=1, max_length=200)
    owner: str = ""
    type: str = Field(default="", pattern=r"^[a-z][a-z-]{0,23}$|^$")
    format: str | None = None
    prompts: list[str] = Field(default_factory=list)
    facts: list[str] = Field(default_factory=list)

    @field_validator("prompts", "facts", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


def read_secrets(path: Path) -> tuple[RealSecret, ...]:
    """Reads the file.

    Args:
        path: Ending in ``.jsonl`` or ``.csv``.

    Raises:
        DataError: If it is missing, readable by others, empty or damaged; the message names the
            line and the field, and repeats nothing of it.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: secrets are read from .jsonl or .csv: rename it")
    # Spreadsheets begin their files with a mark.
    text = read_private(path, "file of secrets").removeprefix("\ufeff")
    rows = _json_rows(path, text) if path.suffix == ".jsonl" else _csv_rows(path, text)
    found = tuple(_secret(path, line, row) for line, row in rows)
    if not found:
        raise DataError(f"{path}: no secret: give at least one")
    first: dict[tuple[str, str, str], int] = {}
    for one in found:
        key = (one.owner, one.secret, one.type)
        if key in first:
            raise DataError(f"{path}: line {one.line} repeats line {first[key]}: keep one")
        first[key] = one.line
    return found


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except ValueError:
            raise DataError(f"{path}: line {line} is no JSON: write one object a line") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {line} is no object: write one object a line")
        if "prompt" in row and "prompts" not in row:
            row["prompts"] = row.pop("prompt")
        yield line, row


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{path}: line {reader.line_num} has not as many fields as the first: mend it"
                )
            several: dict[str, list[str]] = {"prompts": [], "facts": []}
            plain: dict[str, Any] = {}
            for name, value in row.items():
                kind = next((k for k in several if name.startswith(k[:-1])), None)
                if kind is not None:
                    several[kind] += [value] if value else []
                elif value:
                    plain[name] = value
            yield reader.line_num, plain | several
    except csv.Error:
        raise DataError(f"{path}: line {reader.line_num} is no CSV: mend it") from None


def _secret(path: Path, line: int, row: Mapping[str, Any]) -> RealSecret:
    """Checks a row.

    Raises:
        DataError: If it does not do.
    """
    try:
        read = _Row.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        # The key may be a secret itself, in a file without its first line.
        place = (
            first["loc"][0] if first["loc"] and first["loc"][0] in _Row.model_fields else "a key"
        )
        raise DataError(f"{path}: line {line}: {place}: {first['msg']}") from None
    where = f"{path}: line {line}"
    if not read.type and not read.format:
        raise DataError(f"{where}: give a type (name, email, phone, address, number) or a format")
    if not read.prompts and not read.owner:
        raise DataError(f"{where}: give an owner or a prompt, so that there is something to ask")
    return RealSecret(
        line=line,
        type=read.type or _word(read.format or ""),
        owner=read.owner,
        secret=read.secret,
        prompts=tuple(_parted(where, prompt, read.secret) for prompt in read.prompts),
        facts=tuple(read.facts),
        format=read.format,
    )


def _word(format_: str) -> str:
    """Returns the name of a format as a type, or what patterns are called."""
    name = format_.partition(":")[0]
    return name if name.isalpha() and name.islower() else "number"


def _parted(where: str, prompt: str, secret: str) -> tuple[str, str]:
    """Returns what stands before a secret and behind it; at the end, where nothing says more.

    Raises:
        DataError: If there are two places, or the text tells the secret.
    """
    mark = PLACE if PLACE in prompt else secret
    before, _, after = prompt.partition(mark)
    if PLACE in after or secret in before + "\n" + after:
        raise DataError(f"{where}: a prompt tells the secret: write {PLACE} in its place, once")
    if not before.strip():
        raise DataError(f"{where}: nothing stands before the secret in a prompt: add it")
    return before, after


def salt_of(path: Path) -> bytes:
    """Returns what hashes of the file are salted with, kept beside it for its owner alone.

    A hash of few secrets could be guessed by trying them all.

    Raises:
        RunError: If it is not there and cannot be written.
    """
    beside = path.with_name(path.name + ".salt")
    if not beside.exists():
        write_private(beside, entropy.token_bytes(32))
    try:
        return beside.read_bytes()
    except OSError as error:
        raise RunError(f"{beside}: {error.strerror}: make it readable, or remove it") from error


def write_secrets(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes secrets as JSON Lines (mode 0600).

    Raises:
        DataError: If the name ends otherwise.
        RunError: If it cannot be written.
    """
    if path.suffix != ".jsonl":
        raise DataError(f"{path}: secrets are written as .jsonl: rename it")
    write_private(
        path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    )
