"""Forms with files (RFC 7578), read so strictly that every reader finds the same parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from darkroom.guard.wire.strict_json import Unclear

_TYPE = re.compile(r'multipart/form-data; ?boundary=("?)([A-Za-z0-9_\'-]{1,70})\1', re.IGNORECASE)
_PART = re.compile(
    rb"(?:content-type: ?[A-Za-z0-9.+/=; _-]{1,100}\r\n)?"
    rb'content-disposition: ?form-data; ?name="([A-Za-z0-9_.\[\]-]{1,64})"'
    rb'(?:; ?filename="([^"\\\r\n;%]{0,255})")?\r\n'
    rb"(?:content-(?:type|length): ?[A-Za-z0-9.+/=; _-]{1,100}\r\n){0,2}",
    re.IGNORECASE,
)
_LONGEST_FIELD = 1024


class Part(NamedTuple):
    """A part of a form.

    Attributes:
        name: Of its field.
        file: Whether it is a file.
        content: What it holds.
    """

    name: str
    file: bool
    content: bytes

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.content)


class Form(NamedTuple):
    """A form with files.

    Attributes:
        files: How many it holds.
        fields: The other fields.
    """

    files: int
    fields: Mapping[str, bytes]


def read_form(
    headers: Mapping[str, str], body: bytes, files: tuple[str, ...], allow: tuple[str, ...]
) -> Form:
    """Returns what a form holds.

    Args:
        headers: Of the request.
        body: Of the request.
        files: Fields that hold files, each perhaps several times.
        allow: Other fields, each at most once and of 1,024 bytes at most.

    Raises:
        Unclear: If it is no plain form, or holds another field, an empty file, or none.
    """
    parts = read_parts(headers, body)
    found = [one for one in parts if one.name in files]
    others = [one for one in parts if one.name not in files]
    if any(not one.file or not one.size for one in found):
        raise Unclear("a field of files holds no file, or an empty one")
    if any(one.file or one.name not in allow for one in others):
        raise Unclear(f"the form may have these fields alone: {', '.join((*files, *allow))}", 422)
    if any(count > 1 for count in Counter(one.name for one in others).values()):
        raise Unclear("the form has a field twice")
    if any(one.size > _LONGEST_FIELD for one in others):
        raise Unclear(f"a field holds more than {_LONGEST_FIELD} bytes", 413)
    if not found:
        raise Unclear(f"the form has no file in {' or '.join(files)}")
    return Form(len(found), {one.name: one.content for one in others})


def read_parts(headers: Mapping[str, str], body: bytes) -> list[Part]:
    """Reads a form.

    Nothing stands before its first boundary and after its last, the boundary occurs nowhere else,
    and heads hold a disposition, a type and a length and nothing more.

    Raises:
        Unclear: If it is something else.
    """
    told = _TYPE.fullmatch(headers.get("content-type", "").strip())
    if told is None:
        raise Unclear("send multipart/form-data with a plain boundary", 415)
    line = b"--" + told[2].encode()
    pieces = body.removesuffix(b"\r\n").split(b"\r\n" + line)
    first = pieces.pop(0)
    if not first.startswith(line + b"\r\n") or not pieces or pieces.pop() != b"--":
        raise Unclear("the form does not begin and end with its boundary")
    pieces.insert(0, first.removeprefix(line))
    if body.count(line) != len(pieces) + 1:
        raise Unclear("the form's boundary stands within a part")
    return [_part(one) for one in pieces]


def _part(piece: bytes) -> Part:
    head, found, content = piece.partition(b"\r\n\r\n")
    told = _PART.fullmatch(head.removeprefix(b"\r\n") + b"\r\n")
    if not found or not piece.startswith(b"\r\n") or told is None:
        raise Unclear("the head of a part is not plain")
    return Part(told[1].decode(), told[2] is not None, content)
