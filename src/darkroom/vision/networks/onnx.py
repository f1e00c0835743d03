"""ONNX models that take images: in which form, and what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import TargetError, one_line
from darkroom.onnx_files import open_session, run_session
from darkroom.vision.pixels import ChannelOrder, arranged, flattened
from darkroom.vision.spec import ImageSpec

FLOATS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
TAKEN = {**FLOATS, "tensor(uint8)": np.uint8}


class Input(NamedTuple):
    """How the model takes images.

    Attributes:
        name: The input's.
        dtype: Of its numbers; bytes have black at 0 and white at 255.
        tail: Its shape without the batch.
        channels: Where channels are put before images are given that shape.
        batch: The batch that the model insists on, or ``None``.
    """

    name: str
    dtype: type[np.generic]
    tail: tuple[int, ...]
    channels: ChannelOrder
    batch: int | None


class ImageSession:
    """A model in a file that takes images, run on the processor.

    Attributes:
        name: What messages call it.
        spec: The images.
        takes: How the model takes them.
        outputs: The type of each output, by name.
    """

    def __init__(self, file: Path, spec: ImageSpec, channels: ChannelOrder, name: str) -> None:
        """Opens the model and finds out how it takes images.

        Args:
            file: The ``.onnx`` file.
            spec: The images.
            channels: For a model that takes rows: where flattened images have their channels.
            name: What messages call it.

        Raises:
            MissingExtraError: If onnxruntime is not installed.
            TargetError: If the file cannot be loaded, or takes no such images.
        """
        self.name, self.spec = name, spec
        self._session = open_session(file)
        self.takes = self._find_input(channels)
        self.outputs = {one.name: one.type for one in self._session.get_outputs()}

    def _find_input(self, channels: ChannelOrder) -> Input:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(one.name for one in inputs)
            raise TargetError(
                f"target {self.name}: the model takes {len(inputs)} inputs ({names}): export one "
                "that takes images alone"
            )
        found = inputs[0]
        if found.type not in TAKEN:
            raise TargetError(
                f"target {self.name}: input {found.name} takes {found.type}, not floats or bytes: "
                "export the model with a float input"
            )
        depth, height, width = self.spec.shape
        # A name or None stands for a length that the model leaves open.
        size, *tail = [one if isinstance(one, int) else None for one in found.shape] or [None]
        forms: list[tuple[tuple[int, ...], ChannelOrder]] = [
            ((depth, height, width), "first"),
            ((height, width, depth), "last"),
            ((depth * height * width,), channels),
        ]
        for form, order in forms:
            if len(form) == len(tail) and all(
                one in (None, length) for one, length in zip(tail, form, strict=True)
            ):
                return Input(found.name, TAKEN[found.type], form, order, size)
        raise TargetError(
            f"target {self.name}: input {found.name} takes {list(found.shape)}, which images of "
            f"shape {list(self.spec.shape)} do not fit: set [target] shape"
        )

    def run(self, images: NDArray[np.float32], output: str) -> Any:
        """Runs the model on at most a batch; the answer may have rows too many at its end.

        Args:
            images: ``(n, channels, height, width)``.
            output: Which to return.

        Raises:
            TargetError: If the model fails.
        """
        takes = self.takes
        rows = (
            arranged(images, takes.channels)
            if len(takes.tail) == 3
            else flattened(images, takes.channels)
        )
        if takes.dtype == np.uint8:
            spec = self.spec
            rows = ((rows - spec.low) * (255 / spec.width_of_range)).round().clip(0, 255)
        rows = rows.astype(takes.dtype, copy=False)
        if takes.batch is not None and len(rows) < takes.batch:
            blank = np.zeros((takes.batch - len(rows), *takes.tail), takes.dtype)
            rows = np.concatenate([rows, blank])
        try:
            return run_session(self._session, [output], {takes.name: rows})[0]
        except Exception as error:
            raise TargetError(
                f"target {self.name}: the model failed on images of shape "
                f"{list(self.spec.shape)} ({one_line(error)}): check [target] shape"
            ) from error
