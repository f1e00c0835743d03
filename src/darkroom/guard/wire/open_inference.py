"""The Open Inference Protocol, version 2, with tensors in JSON: MLServer, Triton, KServe."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.guard.wire.base import Answered, Asked, Inputs
from darkroom.guard.wire.rows import (
    Classes,
    Scores,
    Shape,
    beside,
    check_label,
    class_name,
    usual_row,
    vectors,
)
from darkroom.guard.wire.strict_json import (
    Numbers,
    Unclear,
    as_count,
    as_list,
    as_object,
    as_text,
    numeric,
    only,
)
from darkroom.guard.wire.strict_wire import NAME, StrictWire
from darkroom.wire.base import dumped
from darkroom.wire.rows import numbers

_MODEL = f"/v2/models/(?P<model>{NAME})(?:/versions/(?P<version>{NAME}))?"
_INFER = re.compile(_MODEL + "/infer")
_HARMLESS = re.compile(rf"/v2/?|/v2/health/(?:live|ready)|(?!/v2/models/stats){_MODEL}(?:/ready)?")
_FLOATS = ("FP16", "BF16", "FP32", "FP64")
_WHOLE = tuple(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
_DATATYPES = frozenset([*_FLOATS, *_WHOLE, "BOOL", "BYTES"])
_CONTENT_TYPES = ("np", "pd", "str", "base64", "datetime")
_OF_REQUESTS = frozenset(["content_type", "binary_data_output"])
_OF_TENSORS = frozenset(["content_type", "binary_data"])
_MOST_TENSORS = 256


class _Memo(NamedTuple):
    model: str
    version: str | None
    id: str | None
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OpenInference(StrictWire):
    """``POST /v2/models/MODEL[/versions/VERSION]/infer``.

    A request's rows are the first dimension of its tensors: all must have the same, and the data
    must be as many as the shape says. Binary tensors, Triton's ``classification``, shared memory
    and sequences are refused. Of the answer leaves one tensor of probabilities, ``(rows,
    classes)``, or, if there is none, of labels, ``(rows,)`` or ``(rows, 1)``; the model's name,
    version and ``id`` are those of the request, and every parameter is dropped.

    Attributes:
        output: The output that may leave; left out, the first one of probabilities.
        row_shape: What every row of each input must have.
        classes: The names of the classes in order.
    """

    name: ClassVar[str] = "open-inference"

    output: str | None = None
    row_shape: Shape = None
    classes: Classes = None

    def matches(self, method: str, path: str) -> bool:
        """Tells whether this is inference."""
        return method == "POST" and _INFER.fullmatch(path) is not None

    def passes(self, method: str, path: str) -> bool:
        """Lets health and metadata through."""
        return method == "GET" and _HARMLESS.fullmatch(path) is not None

    def _read(self, path: str, headers: Mapping[str, str], body: bytes) -> Asked:
        if "inference-header-content-length" in headers:
            raise Unclear("binary tensors are not taken: send JSON", 415)
        request = self._json(headers, body)
        only(request, ("id", "parameters", "inputs", "outputs"), "the request")
        _no_more(request, "the request", _OF_REQUESTS)
        inputs = as_list(request.get("inputs"), "inputs")
        if len(inputs) > _MOST_TENSORS:
            raise Unclear(f"inputs holds more than {_MOST_TENSORS} tensors", 413)
        told = request.get("id")
        identifier = None if told is None else as_text(told, "id")
        memo = _Memo(*_model_of(path), identifier, _wanted(request.get("outputs")))
        tensors = [self._tensor(as_object(one, "an input")) for one in inputs]
        rows, made = tensors[0]
        if len(tensors) > 1:
            if len({one["name"] for one in inputs}) != len(inputs):
                raise Unclear("two inputs have the same name")
            if {count for count, _ in tensors} != {rows}:
                raise Unclear("the first dimensions of the inputs differ: how many rows is unclear")
            made = beside([one for _, one in tensors])
        return Asked(rows, made, False, memo)

    def _tensor(self, tensor: dict[str, Any]) -> tuple[int, Inputs | None]:
        """Returns a tensor's rows, and what makes an array of its numbers."""
        only(tensor, ("name", "shape", "datatype", "parameters", "data"), "an input")
        _no_more(tensor, "an input", _OF_TENSORS)
        as_text(tensor.get("name"), "an input's name")
        datatype = tensor.get("datatype")
        if not isinstance(datatype, str) or datatype not in _DATATYPES:
            raise Unclear("an input's datatype is none of the protocol's")
        shape = as_list(tensor.get("shape"), "an input's shape")
        for one in shape:
            as_count(one, "a length in a shape", 1, 2**31)
        if self.row_shape is not None and tuple(shape[1:]) != tuple(self.row_shape):
            raise Unclear(f"an input's rows should have shape {list(self.row_shape)}")
        data = as_list(tensor.get("data"), "an input's data")
        if datatype in ("BYTES", "BOOL"):
            if _leaves(data, bool if datatype == "BOOL" else str) != math.prod(shape):
                raise Unclear("an input does not hold as many values as its shape says")
            return shape[0], None
        found = numeric(data, "an input's data")
        if found is None:
            raise Unclear("an input's data holds something else than numbers")
        flat = len(found.shape) == 1
        if len(found.values) != math.prod(shape) or not (flat or list(found.shape) == shape):
            raise Unclear("an input does not hold as many values as its shape says")
        return shape[0], Numbers(tuple(shape), found.values).rows

    def _answer(self, asked: Asked, body: Any) -> Answered:
        memo: _Memo = asked.memo
        outputs = [
            as_object(one, "an output")
            for one in as_list(as_object(body, "the answer").get("outputs"), "outputs")
        ]
        if len({str(one.get("name")) for one in outputs}) != len(outputs):
            raise Unclear("two outputs have the same name")
        allowed = [
            one
            for one in outputs
            if self.output in (None, one.get("name"))
            and (not memo.outputs or one.get("name") in memo.outputs)
        ]
        scored = [one for one in allowed if one.get("datatype") in _FLOATS]
        if scored:
            return self._scored(asked, scored[0])
        labelled = [one for one in allowed if one.get("datatype") in (*_WHOLE, "BYTES")]
        if not labelled:
            raise Unclear("it has no output that may leave")
        return self._labelled(asked, labelled[0])

    def _scored(self, asked: Asked, tensor: dict[str, Any]) -> Answered:
        shape, name = _shape(tensor), self._name(asked.memo, tensor)
        if self.numbers:
            return self._predicted(asked, tensor, shape)
        if len(shape) != 2 or shape[0] != asked.rows or shape[1] < 2:
            raise Unclear("its output is not one row of probabilities for each row asked about")
        if self.classes is not None and shape[1] != len(self.classes):
            raise Unclear("it has more or fewer classes than declared")
        data = tensor.get("data")
        alone = asked.rows == 1 and isinstance(data, list) and len(data) == shape[1]
        usual = usual_row(data, None) if alone else None
        scores, write = vectors(_numbers(tensor, shape)) if usual is None else usual
        kind = np.float64 if tensor["datatype"] == "FP64" else np.float32

        def rebuild(changed: Scores | None) -> bytes:
            flat: Any = [*chain.from_iterable(write(changed))]
            if kind is np.float32:  # whose numbers take fewer digits
                flat = np.array(flat, kind)
            return self._body(asked.memo, name, tensor, shape, flat)

        return Answered(scores, rebuild)

    def _predicted(self, asked: Asked, tensor: dict[str, Any], shape: list[int]) -> Answered:
        if shape not in ([asked.rows], [asked.rows, 1]):
            raise Unclear("its output is not one number for each row asked about")
        name = self._name(asked.memo, tensor)
        kind = np.float64 if tensor["datatype"] == "FP64" else np.float32
        values = _numbers(tensor, shape).reshape(asked.rows, 1)

        def rebuild(changed: Scores | None) -> bytes:
            told = (values if changed is None else changed).astype(kind)
            return self._body(asked.memo, name, tensor, shape, told.ravel())

        return self._answered(values, rebuild)

    def _labelled(self, asked: Asked, tensor: dict[str, Any]) -> Answered:
        shape, name = _shape(tensor), self._name(asked.memo, tensor)
        if shape not in ([asked.rows], [asked.rows, 1]):
            raise Unclear("its output is not one label for each row asked about")
        data = as_list(tensor.get("data"), "an output's data")
        flat = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
        text = tensor["datatype"] == "BYTES"
        if len(flat) != asked.rows or not set(map(type, flat)) <= {str if text else int}:
            raise Unclear("its output does not hold what its shape and type say")
        for label in flat:
            check_label(label, self.classes)
        return Answered(None, lambda _: self._body(asked.memo, name, tensor, shape, flat))

    def _name(self, memo: _Memo, tensor: dict[str, Any]) -> str:
        """Returns an output's name, if it is one that was asked for, or looks like a name."""
        told = tensor.get("name")
        if isinstance(told, str) and told in (self.output, *memo.outputs):
            return told
        return class_name(told)

    def _body(
        self, memo: _Memo, name: str, tensor: dict[str, Any], shape: list[int], data: object
    ) -> bytes:
        """Writes an answer with one output and nothing else of what came."""
        output = {"name": name, "shape": shape, "datatype": tensor["datatype"], "data": data}
        body: dict[str, Any] = {"model_name": memo.model, "outputs": [output]}
        if memo.version is not None:
            body["model_version"] = memo.version
        if memo.id is not None:
            body["id"] = memo.id
        return dumped(body)


@lru_cache(256)
def _model_of(path: str) -> tuple[str, str | None]:
    """Returns the model and the version that a route names."""
    found = _INFER.fullmatch(path)
    assert found is not None, "only routes that match are read"
    return found["model"], found["version"]


def _no_more(holder: Mapping[str, Any], what: str, known: frozenset[str]) -> None:
    """Refuses parameters that ask for more than JSON with the same values.

    Raises:
        Unclear: If there is one.
    """
    parameters = holder.get("parameters")
    if parameters is None:
        return
    only(as_object(parameters, "parameters"), known, f"parameters of {what}")
    for name in ("binary_data", "binary_data_output"):
        if parameters.get(name, False) is not False:
            raise Unclear("binary tensors are not taken: send and ask for JSON", 422)
    if parameters.get("content_type", "np") not in _CONTENT_TYPES:
        raise Unclear(f"content_type should be one of {', '.join(_CONTENT_TYPES)}", 422)


def _wanted(outputs: object) -> tuple[str, ...]:
    """Returns the outputs that a request names."""
    if outputs is None or outputs == []:
        return ()
    names = []
    for one in as_list(outputs, "outputs")[: _MOST_TENSORS + 1]:
        tensor = as_object(one, "an output")
        only(tensor, ("name", "parameters"), "an output")
        _no_more(tensor, "an output", _OF_TENSORS)
        names.append(as_text(tensor.get("name"), "an output's name"))
    if len(names) > _MOST_TENSORS or len(set(names)) != len(names):
        raise Unclear("outputs names one twice, or too many")
    return tuple(names)


def _leaves(data: list[Any], kind: type) -> int:
    """Counts the values in nested lists.

    Raises:
        Unclear: If one is of another type.
    """
    count, level = 0, data
    while level:
        inner = [one for one in level if isinstance(one, list)]
        plain = [one for one in level if not isinstance(one, list)]
        if not set(map(type, plain)) <= {kind} or (inner and plain):
            raise Unclear("an input's data holds something else than its datatype says")
        count += len(plain)
        level = [value for one in inner for value in one]
    return count


def _shape(tensor: dict[str, Any]) -> list[int]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or not set(map(type, shape)) <= {int}:
        raise Unclear("its output has no shape")
    return shape


def _numbers(tensor: dict[str, Any], shape: list[int]) -> NDArray[np.float64]:
    """Returns a tensor's numbers, flat or nested, in its shape."""
    data = as_list(tensor.get("data"), "an output's data")
    if isinstance(data[0], list):
        found = numeric(data, "an output's data")
        if found is None or list(found.shape) != shape:
            raise Unclear("its output does not hold what its shape says")
        return found.array()
    if len(data) != math.prod(shape):
        raise Unclear("its output does not hold what its shape says")
    return numbers(data).reshape(shape)
