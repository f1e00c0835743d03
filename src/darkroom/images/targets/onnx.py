"""An ONNX model, run by ONNX Runtime, as a target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError, one_line
from darkroom.images.targets.base import ImageSpec, Target
from darkroom.images.targets.pixels import (
    ChannelOrder,
    arranged,
    flattened,
    in_batches,
    probe_images,
)
from darkroom.onnx_files import hash_file, open_session, run_session
from darkroom.wire.answers import (
    AnswerError,
    ClassNames,
    Outputs,
    look_like_probabilities,
    probabilities,
)

_FLOATS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}
_TAKEN = {**_FLOATS, "tensor(uint8)": np.uint8}


class _Input(NamedTuple):
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


class OnnxTarget(Target):
    """A model in a file, run on the processor.

    Takes one input: ``(n, channels, height, width)``, ``(n, height, width, channels)``, or rows of
    numbers. Answers logits or probabilities ``(n, classes)``; or, as classifiers exported by
    skl2onnx do, a dictionary of probabilities for each row; or labels alone.
    """

    def __init__(
        self,
        file: Path,
        shape: Sequence[int],
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
        outputs: Outputs = "logits",
        output: str | None = None,
        channels: ChannelOrder = "first",
        classes: int | Sequence[str] | None = None,
        name: str | None = None,
        batch: int = 256,
    ) -> None:
        """Loads the model and asks it two blank images to check what it was declared to be.

        Args:
            file: The ``.onnx`` file.
            shape: ``(channels, height, width)``.
            value_range: The values of black and of full intensity.
            outputs: Whether the model returns logits or probabilities.
            output: The output to read; left out, the first that holds numbers for every class.
            channels: For a model that takes rows: whether these are images flattened with their
                channels ``first`` or ``last``.
            classes: How many classes there are, or their names in order; needed for a model that
                answers labels alone.
            name: What reports call it; the file's name unless told.
            batch: Rows answered at a time.

        Raises:
            MissingExtraError: If onnxruntime is not installed.
            TargetError: If the file cannot be loaded, or the model does not take such images or
                answers something else than declared.
        """
        self.spec = ImageSpec.of(shape, value_range)
        self.name = name or file.name
        self.file = file
        self._declared: Outputs = outputs
        self._session = open_session(file)
        self._input = self._find_input(channels)
        self.batch = self._input.batch or batch
        self._output, is_label = self._find_output(output)
        self._keys: list[object] | None = None
        self._names = None if classes is None else ClassNames(classes)
        self.access = Access.LABEL if is_label else Access.SCORES
        self.outputs = "labels" if is_label else outputs
        self.classes = self._probe()
        self.notes = tuple(self._noted())

    def _noted(self) -> Iterator[str]:
        takes = self._input
        if takes.dtype != np.float32:
            yield f"takes {takes.dtype.__name__}"
        if len(takes.tail) == 3 and takes.channels == "last":
            yield "takes channels last"

    def _find_input(self, channels: ChannelOrder) -> _Input:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(one.name for one in inputs)
            raise TargetError(
                f"target {self.name}: the model takes {len(inputs)} inputs ({names}): export one "
                "that takes images alone"
            )
        found = inputs[0]
        if found.type not in _TAKEN:
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
                return _Input(found.name, _TAKEN[found.type], form, order, size)
        raise TargetError(
            f"target {self.name}: input {found.name} takes {list(found.shape)}, which images of "
            f"shape {list(self.spec.shape)} do not fit: set [target] shape"
        )

    def _find_output(self, wanted: str | None) -> tuple[str, bool]:
        """Returns the name of the output to read and whether it holds labels."""
        known = {one.name: one.type for one in self._session.get_outputs()}
        if wanted is not None and wanted not in known:
            raise TargetError(
                f"target {self.name}: no output {wanted!r}: set [target] output to one of "
                f"{', '.join(known)}"
            )
        names = [wanted] if wanted is not None else list(known)
        for name in names:
            if known[name] in _FLOATS or known[name].startswith("seq(map("):
                return name, False
        for name in names:
            if known[name] in ("tensor(int64)", "tensor(string)"):
                return name, True
        kinds = ", ".join(f"{name} {kind}" for name, kind in known.items())
        raise TargetError(f"target {self.name}: no output holds scores or labels ({kinds})")

    def _probe(self) -> int:
        images = probe_images(self.spec)
        if self.access is Access.LABEL:
            if self._names is None:
                raise TargetError(
                    f"target {self.name}: the model answers labels alone: set [target] classes to "
                    "how many there are, or to their names in order"
                )
            self.classes = self._names.count
            self.labels(images)
            return self.classes
        answers = np.concatenate(in_batches(images, self.batch, self._numbers))
        if answers.shape[1] < 2:
            raise TargetError(
                f"target {self.name}: output {self._output} is a single number: model inversion "
                "needs at least two classes"
            )
        if self._declared == "logits" and look_like_probabilities(answers):
            raise TargetError(
                f"target {self.name}: the model returns probabilities but was declared to return "
                'logits: set [target] outputs = "probabilities"'
            )
        self.classes = answers.shape[1]
        if self._names is not None and self._names.count != self.classes:
            raise TargetError(
                f"target {self.name}: the model answers {self.classes} classes, but [target] "
                f"classes says {self._names.count}: mend it"
            )
        self.scores(images)
        return self.classes

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the confidence of every class; see :meth:`Target.scores`."""
        if self.access is Access.LABEL:
            return super().scores(images)
        answers = in_batches(images, self.batch, self._numbers)
        try:
            return probabilities(
                np.concatenate([np.empty((0, self.classes)), *answers]), self._declared
            )
        except (AnswerError, ValueError) as error:
            raise TargetError(
                f"target {self.name}: the answer in {self._output}, declared to be "
                f"{self._declared}, is unusable: {error}: check [target] outputs, output and range"
            ) from error

    def labels(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Returns the winning class of each row; see :meth:`Target.labels`."""
        if self.access is not Access.LABEL:
            return super().labels(images)
        answers = in_batches(images, self.batch, self._positions)
        return np.concatenate([np.empty(0, np.int64), *answers])

    def _numbers(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns what the model says of each class, ``(n, classes)``."""
        answers = self._run(images)
        if isinstance(answers, list):
            answers = self._unzipped(answers)
        if not isinstance(answers, np.ndarray) or answers.ndim != 2 or len(answers) < len(images):
            raise TargetError(
                f"target {self.name}: output {self._output} is "
                f"{getattr(answers, 'shape', type(answers).__name__)} for {len(images)} images, "
                "not one row of scores each: set [target] output to another"
            )
        return answers[: len(images)].astype(np.float64)

    def _unzipped(self, answers: list[Any]) -> NDArray[np.float64]:
        """Turns a dictionary for each row into a table, its columns in the first one's order."""
        if self._keys is None:
            self._keys = list(answers[0])
        try:
            return np.array([[row[key] for key in self._keys] for row in answers], np.float64)
        except (KeyError, TypeError) as error:
            raise TargetError(
                f"target {self.name}: output {self._output} names other classes from row to row"
            ) from error

    def _positions(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        assert self._names is not None
        answers = self._run(images)[: len(images)]
        if np.shape(answers) not in ((len(images),), (len(images), 1)):
            raise TargetError(
                f"target {self.name}: output {self._output} is {np.shape(answers)} for "
                f"{len(images)} images, not one label each"
            )
        try:
            values = np.ravel(answers).tolist()
            return np.array([self._names.position(value) for value in values], np.int64)
        except AnswerError as error:
            raise TargetError(f"target {self.name}: an answer is unusable: {error}") from error

    def _run(self, images: NDArray[np.float32]) -> Any:
        """Runs the model on at most a batch; the answer may have rows too many at its end."""
        takes = self._input
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
            return run_session(self._session, [self._output], {takes.name: rows})[0]
        except Exception as error:
            raise TargetError(
                f"target {self.name}: the model failed on images of shape "
                f"{list(self.spec.shape)} ({one_line(error)}): check [target] shape"
            ) from error

    def fingerprint(self) -> str:
        """Returns a hash of the file, of weights kept beside it, and of how images reach it."""
        decisive = (self.spec, self._input, self._output, self.outputs)
        digest = hashlib.sha256(repr(decisive).encode() + hash_file(self.file))
        return digest.hexdigest()
