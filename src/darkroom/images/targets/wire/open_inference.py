"""The Open Inference Protocol, version 2: MLServer, Triton, KServe, Seldon, OpenVINO."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.images.targets.wire.base import Wire
from darkroom.vision.pixels import ChannelOrder, arranged, flattened
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import AnswerError
from darkroom.wire.base import Decoded, Request, Shows, dumped, joined, kind_of, parsed
from darkroom.wire.rows import best_k, labels, numbers

Datatype = Literal["FP32", "FP64"]
_BEST = re.compile(r"([-+0-9.eE]{1,40}):(\d{1,9})(?::.*)?", re.DOTALL)


class OpenInference(Wire):
    """``POST /v2/models/MODEL[/versions/VERSION]/infer`` with JSON tensors.

    Scores are read from a tensor ``(rows, classes)``, labels from ``(rows,)`` or ``(rows, 1)``.
    The best ``k`` are asked for with the classification extension that Triton has, which answers
    ``"score:index"`` or ``"score:index:name"``.
    """

    def __init__(
        self,
        server: str,
        model: str,
        *,
        version: str | None = None,
        shows: Shows | None = None,
        input: str = "predict",  # noqa: A002 - the protocol's word
        output: str | None = None,
        datatype: Datatype = "FP32",
        flat: bool = False,
        channels: ChannelOrder = "first",
    ) -> None:
        """Takes the model's address and how it wants its images.

        Args:
            server: Such as ``http://127.0.0.1:8080``.
            model: The model's name on the server.
            version: Its version; the server's choice when left out.
            shows: What the answers show.
            input: The input tensor's name.
            output: The output tensor's name; left out, the first of a fitting type.
            datatype: Of the input tensor.
            flat: Whether images go as rows of numbers, ``(n, channels * height * width)``.
            channels: Where the input has its channels.
        """
        where = "" if version is None else f"/versions/{version}"
        place = joined(server, f"v2/models/{model}{where}")
        self.url = joined(place, "infer")
        self.metadata_url, self.ready_url = place, joined(place, "ready")
        self.shows = shows or Shows()
        self.input, self.output = input, output
        self.datatype, self.flat, self.channels = datatype, flat, channels

    def request(self, images: NDArray[np.float32]) -> Request:
        """Returns one tensor with all rows."""
        array = (flattened if self.flat else arranged)(images, self.channels)
        kind = np.float32 if self.datatype == "FP32" else np.float64
        tensor = {
            "name": self.input,
            "shape": list(array.shape),
            "datatype": self.datatype,
            "data": np.ascontiguousarray(array.ravel(), kind),
        }
        body: dict[str, Any] = {"inputs": [tensor]}
        if self.output is not None:
            wanted: dict[str, Any] = {"name": self.output}
            if self.shows.access is Access.TOP_K:
                wanted["parameters"] = {"classification": self.shows.k}
            body["outputs"] = [wanted]
        return Request(self.url, dumped(body))

    def decode(self, content: bytes, rows: int) -> Decoded:
        """Returns what the output tensor holds; see :meth:`Wire.decode`."""
        tensor = self._tensor(parsed(content))
        shape, data = tensor.get("shape"), tensor.get("data")
        if not isinstance(shape, list) or not shape or not set(map(type, shape)) <= {int}:
            raise AnswerError("its output has no shape")
        if not isinstance(data, list):
            raise AnswerError(f"its output's data should be a list, not {kind_of(data)}")
        if shape[0] != rows:
            raise AnswerError(f"its output has shape {shape[:4]} for {rows} rows")
        access = self.shows.access
        width = 1 if access is Access.LABEL else self.shows.k or int(shape[-1])
        if len(shape) != 2 and not (access is Access.LABEL and len(shape) == 1):
            raise AnswerError(f"its output has shape {shape[:4]}, not one row an image")
        if len(shape) == 2 and shape[1] != width:
            raise AnswerError(f"its output has shape {shape}, not [{rows}, {width}]")
        return self._read(_flat(data, rows, width), rows, width)

    def _read(self, data: list[Any], rows: int, width: int) -> Decoded:
        """Reads ``rows * width`` values."""
        names = self.shows.names
        if self.shows.access is Access.LABEL:
            assert names is not None
            return labels(data, names)
        if self.shows.access is Access.TOP_K:
            assert names is not None
            pairs = [_best(value, names.count) for value in data]
            return best_k([pairs[row * width : (row + 1) * width] for row in range(rows)], width)
        if names is not None and names.count != width:
            raise AnswerError(f"it has {width} classes, but [target] classes says {names.count}")
        return numbers(data).reshape(rows, width)

    def _tensor(self, answer: object) -> dict[str, Any]:
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
            raise AnswerError("it has no outputs")
        if self.output is not None:
            found = [one for one in outputs if one.get("name") == self.output]
            if not found:
                raise AnswerError(f"it has no output {self.output!r}")
            return dict(found[0])
        wanted = {
            Access.SCORES: ("FP",),
            Access.TOP_K: ("BYTES",),
            Access.LABEL: ("INT", "UINT", "BYTES"),
        }[self.shows.access]
        for one in outputs:
            if str(one.get("datatype")).startswith(wanted):
                return dict(one)
        raise AnswerError(f"it has no output of type {' or '.join(wanted)}")

    def identity(self) -> tuple[object, ...]:
        """Returns all that decides how the model is asked."""
        kept = (self.input, self.output, self.datatype, self.flat, self.channels)
        return ("v2", self.url, self.shows, *kept)

    def check_metadata(self, content: bytes, spec: ImageSpec) -> str:
        """Checks the input that the server describes, if it describes any."""
        try:
            described = parsed(content)
        except AnswerError:
            return ""
        if not isinstance(described, dict):
            return ""
        for tensor in _tensors(described, "inputs", self.input):
            self._check_input(tensor, spec)
        for tensor in _tensors(described, "outputs", self.output):
            self._check_output(tensor)
        return str([described.get(key) for key in ("name", "versions", "platform")])[:500]

    def _check_output(self, tensor: dict[str, Any]) -> None:
        names, shape = self.shows.names, tensor.get("shape")
        if names is None or self.shows.access is not Access.SCORES or not isinstance(shape, list):
            return
        last = shape[-1] if shape else -1
        if isinstance(last, int) and last > 0 and last != names.count:
            raise AnswerError(
                f"its output {self.output} has {last} classes, but [target] classes says "
                f"{names.count}"
            )

    def _check_input(self, tensor: dict[str, Any], spec: ImageSpec) -> None:
        datatype, shape = tensor.get("datatype"), tensor.get("shape")
        if isinstance(datatype, str) and datatype != self.datatype:
            raise AnswerError(
                f"its input {self.input} takes {datatype[:20]}, not {self.datatype}: set [target] "
                "datatype"
            )
        if not isinstance(shape, list) or not set(map(type, shape)) <= {int} or not shape:
            return
        depth, height, width = spec.shape
        image = (depth, height, width) if self.channels == "first" else (height, width, depth)
        sent = (math.prod(image),) if self.flat else image
        # Some servers leave the batch out of the shape; -1 stands for any length.
        for tail in (shape[1:], shape):
            fits = len(tail) == len(sent) and all(
                one in (-1, length) for one, length in zip(tail, sent, strict=True)
            )
            if fits:
                return
        raise AnswerError(
            f"its input {self.input} takes {shape[:6]}, not rows of {list(sent)}: set [target] "
            "shape, channels or flat"
        )


def _tensors(described: dict[str, Any], kind: str, name: str | None) -> list[dict[str, Any]]:
    """Returns the described tensors of a name."""
    found = described.get(kind)
    tensors = found if isinstance(found, list) else []
    return [one for one in tensors if isinstance(one, dict) and one.get("name") == name]


def _flat(data: list[Any], rows: int, width: int) -> list[Any]:
    """Returns a tensor's data without nesting, as the protocol allows it either way.

    Raises:
        AnswerError: If there are more or fewer values.
    """
    if data and isinstance(data[0], list):
        nested = len(data) == rows and all(
            isinstance(row, list) and len(row) == width for row in data
        )
        data = [value for row in data for value in row] if nested else []
    if len(data) != rows * width:
        raise AnswerError(f"its output does not hold {rows} times {width} values")
    return data


def _best(value: object, classes: int) -> tuple[int, float]:
    found = _BEST.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise AnswerError("an entry is not of the form score:index")
    try:
        position, score = int(found[2]), float(found[1])
    except ValueError as error:
        raise AnswerError("an entry is not of the form score:index") from error
    if position >= classes:
        raise AnswerError(f"it names class {position} of {classes}")
    return position, score
