"""Version 1 of the prediction protocol: TensorFlow Serving and KServe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.rows import Classes, Shape, beside, class_name, read_rows
from darkroom.guard.wire.strict_json import Unclear, as_list, as_object, only
from darkroom.guard.wire.strict_wire import NAME, StrictWire
from darkroom.wire.base import dumped

_MODEL = f"/v1/models/{NAME}(?:/(?:versions|labels)/{NAME})?"
_PREDICT = re.compile(_MODEL + ":predict")
_HARMLESS = re.compile(rf"/v1/models|{_MODEL}(?:/metadata)?")


@dataclass(frozen=True)
class V1Predict(StrictWire):
    """``POST /v1/models/MODEL:predict`` with ``{"instances": [...]}``, an entry a row.

    The columnar form, ``{"inputs": ...}``, is one tensor or an object of several, whose first
    dimension is the rows of each; its answer stands under ``outputs``. Signatures other than the
    declared one, which may return logits or embeddings, are refused; ``:explain``, ``:classify``
    and ``:regress`` do not match.

    Attributes:
        signature: The only ``signature_name`` that a request may name.
        output: Which output leaves when each prediction is an object of several.
        row_shape: What every row of numbers must have.
        classes: The names of the classes in order.
    """

    name: ClassVar[str] = "v1"

    signature: str = "serving_default"
    output: str | None = None
    row_shape: Shape = None
    classes: Classes = None

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method == "POST" and _PREDICT.fullmatch(path) is not None

    def passes(self, method: str, path: str) -> bool:
        """Lets status and metadata through."""
        return method == "GET" and _HARMLESS.fullmatch(path) is not None

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:  # noqa: ARG002
        request = self._json(headers, body)
        only(request, ("instances", "inputs", "signature_name"), "the request")
        if request.get("signature_name", self.signature) != self.signature:
            raise Unclear("another signature_name than the declared one may not be asked for", 422)
        if ("instances" in request) == ("inputs" in request):
            raise Unclear("the request should have instances, or inputs, and not both")
        if "instances" in request:
            return read_rows(request["instances"], self.row_shape, "instances")
        asked = self._columns(request["inputs"])
        asked.memo = "columns"
        return asked

    def _columns(self, inputs: object) -> Asked:
        if not isinstance(inputs, dict):
            return read_rows(inputs, self.row_shape, "inputs")
        found = [read_rows(one, self.row_shape, "inputs") for one in inputs.values()]
        rows = {one.rows for one in found}
        if len(rows) != 1:
            raise Unclear("the tensors of inputs should have the same number of rows")
        return Asked(rows.pop(), beside([one.inputs for one in found]))

    def _answer(self, asked: Asked, body: Any) -> Answered:
        if asked.memo == "columns":
            return self._outputs(asked, as_object(body, "the answer").get("outputs"))
        entries = as_object(body, "the answer").get("predictions")
        output = self.output
        if output is not None:
            every = [as_object(one, "a prediction") for one in as_list(entries, "predictions")]
            entries = [one.get(output) for one in every]
        scores, write = self._understood(entries, asked.rows, self.classes)

        def rebuild(changed: Any) -> bytes:
            rows = write(changed)
            kept = rows if output is None else [{output: row} for row in rows]
            return dumped({"predictions": kept})

        return self._answered(scores, rebuild)

    def _outputs(self, asked: Asked, outputs: object) -> Answered:
        """Understands an answer in columns: one tensor, or an object of them."""
        name: str | None = None
        if isinstance(outputs, dict):
            name = self.output or (next(iter(outputs)) if len(outputs) == 1 else None)
            if name is None or name not in outputs:
                raise Unclear("it has several outputs: name one as output in the policy")
            outputs = outputs[name]
            name = name if name == self.output else class_name(name)
        scores, write = self._understood(outputs, asked.rows, self.classes)

        def rebuild(changed: Any) -> bytes:
            rows = write(changed)
            return dumped({"outputs": rows if name is None else {name: rows}})

        return self._answered(scores, rebuild)
