"""How servers that know faces are asked: in JSON, or by forms with a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from darkroom.verifiers.targets.base import Floats, Images
from darkroom.vision.encoding import Encoding, encoded, picture
from darkroom.vision.pixels import ChannelOrder
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import AnswerError
from darkroom.wire.base import Request, dumped, kind_of
from darkroom.wire.paths import AnswerPath, placed

Answers = Literal["template", "score", "decision"]

PATHS: Mapping[Answers, str] = {"template": "template", "score": "score", "decision": "accepted"}
"""Where an answer says it, unless told."""

ID = "{id}"
"""What stands in an address for the person asked about."""

_BOUNDARY = "darkroom-8c1b6a0f4e2d4f6f9a37"


@dataclass(frozen=True)
class FaceWire:
    """One endpoint of such a server: one photo a request.

    Attributes:
        url: The endpoint; ``{id}`` in it stands for the person asked about.
        spec: The photos.
        answers: What it answers: the photo's template, how alike it and a person are, or whether
            that is enough.
        form: Whether requests are forms (``multipart/form-data``) with a PNG; else they are JSON.
        photo: The key of the photo, dots between nested keys; or the form's field.
        person: The key or the field of the person asked about, where the address has no ``{id}``.
        path: Where the answer says it, a JMESPath expression.
        extra: What a request holds besides.
        encoding: How photos are written into JSON.
        channels: Where numbers and rows have their channels.
        accepts: The word that accepts, where decisions are no booleans.
        no_face: What an answer or a refusal says of a photo without a face.
    """

    url: str
    spec: ImageSpec
    answers: Answers = "score"
    form: bool = False
    photo: str = "photo"
    person: str = "id"
    path: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    encoding: Encoding = "png"
    channels: ChannelOrder = "first"
    accepts: str | None = None
    no_face: str | None = None

    def __post_init__(self) -> None:
        """Compiles the path and places a request's parts.

        Raises:
            TargetError: If the path is none, or two parts have one place.
        """
        assert self._path
        self._body("", "")

    @property
    def content_type(self) -> str:
        """Of requests."""
        if self.form:
            return f"multipart/form-data; boundary={_BOUNDARY}"
        return "application/json"

    def request(self, image: Images, person: str | None) -> Request:
        """Returns what asks about a photo.

        Args:
            image: ``(1, channels, height, width)``.
            person: Whom it claims to show; ``None`` where templates are asked for.
        """
        if self.form:
            fields = self._body(None, person)
            fields.pop(self.photo)
            return Request(self._address(person), self._form(fields, image))
        entry = encoded(image, self.encoding, self.channels, self.spec)[0]
        return Request(self._address(person), dumped(self._body(entry, person)))

    def _body(self, photo: object, person: str | None) -> dict[str, Any]:
        body = placed(self.extra, self.photo, photo)
        if person is None or ID in self.url or self.answers == "template":
            return body
        return placed(body, self.person, person)

    def _address(self, person: str | None) -> str:
        return self.url if person is None else self.url.replace(ID, quote(person, safe=""))

    def _form(self, fields: Mapping[str, Any], image: Images) -> bytes:
        parts = [
            f'content-disposition: form-data; name="{name}"\r\n\r\n{_written(value)}'.encode()
            for name, value in fields.items()
        ]
        head = (
            f'content-disposition: form-data; name="{self.photo}"; filename="photo.png"\r\n'
            "content-type: image/png\r\n\r\n"
        )
        parts.append(head.encode() + picture(image[0], self.spec))
        line = f"--{_BOUNDARY}".encode()
        return b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"

    def says_no_face(self, content: bytes) -> bool:
        """Tells whether an answer says that a photo has no face."""
        return self.no_face is not None and self.no_face.encode() in content

    def decode(self, content: bytes) -> Floats | None:
        """Returns what an answer says: a template, or one number, 1 and 0 for decisions.

        Args:
            content: The answer's body, whatever came.

        Returns:
            ``(size,)``; ``None`` where the photo has no face.

        Raises:
            AnswerError: If it is no such answer.
        """
        if self.says_no_face(content):
            return None
        found = self._path.find(content)
        if self.answers == "template":
            return _template(found)
        if self.answers == "score":
            return np.array([_number(found)])
        if self.accepts is None and not isinstance(found, bool):
            raise AnswerError(
                f"at path {self._path.text!r} it has {kind_of(found)}, not true or false: set "
                "[target] accepts to the word that accepts"
            )
        return np.array([float(found is True if self.accepts is None else found == self.accepts)])

    @cached_property
    def _path(self) -> AnswerPath:
        return AnswerPath(self.path or PATHS[self.answers])

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the server is asked, for a fingerprint."""
        kept = (self.form, self.photo, self.person, self._path.text, self.encoding, self.channels)
        extra = repr(sorted(self.extra.items()))
        return (self.url, self.spec, self.answers, extra, *kept, self.accepts, self.no_face)


def _written(value: object) -> str:
    """Returns a form's field."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise AnswerError(f"its score should be a number, not {kind_of(found)}")
    return float(found)


def _template(found: object) -> Floats:
    if not isinstance(found, list) or len(found) < 2:
        raise AnswerError("its template should be a list of two numbers or more")
    return np.array([_number(one) for one in found])
