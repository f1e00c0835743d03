"""A service that knows the faces of six made-up people, for tests to ask."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from PIL import Image
from tests.support.served import body_of
from tests.verifiers.conftest import Projection, photos_of

from darkroom.guard.http.requests import Receive, Scope, Send
from darkroom.guard.wire.bodies.multipart import read_parts
from darkroom.verifiers.subject import enrolled
from darkroom.verifiers.targets.embedding import EmbeddingVerifier
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.vision.spec import ImageSpec

PERSON = re.compile("/people/([^/]+)/compare")


class FaceService:
    """``POST /compare``, ``/people/NAME/compare``, ``/decide`` and ``/embed``; JSON and forms."""

    def __init__(self, spec: ImageSpec, threshold: float = 0.8) -> None:
        photos = photos_of(6, 6, 1)
        encoder = TorchEncoder(Projection(), spec)
        store = enrolled(encoder, photos.select(photos.numbers < 3), Metric.COSINE)
        self.verifier = EmbeddingVerifier(encoder, store, Metric.COSINE, threshold=threshold)
        self.rows: Counter[str] = Counter()
        self.authorization: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await body_of(scope, receive, send)
        if body is None:
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.authorization.add(headers.get("authorization", ""))
        status, answer = self.answered(scope["path"], headers, body)
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    def answered(
        self, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, Any]]:
        asked = fields(headers, body)
        photo = pixels(asked["photo"])[None]
        if photo.max() == 0:
            return 422, {"error": "no face found"}
        template = self.verifier.encoder.templates(photo)
        if path == "/embed":
            return 200, {"template": template[0].tolist()}
        named = PERSON.fullmatch(path)
        person = str(asked["id"]) if named is None else named[1]
        self.rows[person] += 1
        number = int(person.removeprefix("person-"))
        score = float(self.verifier.of_templates(template)[0, number])
        if path == "/decide":
            assert self.verifier.threshold is not None
            return 200, {"accepted": score >= self.verifier.threshold}
        return 200, {"score": score}


def fields(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Returns what a request holds, JSON or a form."""
    if headers["content-type"].startswith("multipart/"):
        parts = read_parts(headers, body)
        return {one.name: one.content if one.file else one.content.decode() for one in parts}
    found: dict[str, Any] = orjson.loads(body)
    return found


def pixels(photo: str | bytes) -> np.ndarray:
    """Returns a PNG as the encoder takes it."""
    content = photo if isinstance(photo, bytes) else base64.b64decode(photo)
    return np.asarray(Image.open(io.BytesIO(content)), np.float32)[None] / 255
