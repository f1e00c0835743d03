"""An ONNX model, run by ONNX Runtime, as a target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.onnx_files import hash_file
from darkroom.vision.networks.onnx import FLOATS, ImageSession
from darkroom.vision.pixels import ChannelOrder, in_batches, probe_images
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import (
    AnswerError,
    ClassNames,
    Outputs,
    look_like_probabilities,
    probabilities,
)


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
        self._session = ImageSession(file, self.spec, channels, self.name)
        self.batch = self._session.takes.batch or batch
        self._output, is_label = self._find_output(output)
        self._keys: list[object] | None = None
        self._names = None if classes is None else ClassNames(classes)
        self.access = Access.LABEL if is_label else Access.SCORES
        self.outputs = "labels" if is_label else outputs
        self.classes = self._probe()
        self.notes = tuple(self._noted())

    def _noted(self) -> Iterator[str]:
        takes = self._session.takes
        if takes.dtype != np.float32:
            yield f"takes {takes.dtype.__name__}"
        if len(takes.tail) == 3 and takes.channels == "last":
            yield "takes channels last"

    def _find_output(self, wanted: str | None) -> tuple[str, bool]:
        """Returns the name of the output to read and whether it holds labels."""
        known = self._session.outputs
        if wanted is not None and wanted not in known:
            raise TargetError(
                f"target {self.name}: no output {wanted!r}: set [target] output to one of "
                f"{', '.join(known)}"
            )
        names = [wanted] if wanted is not None else list(known)
        for name in names:
            if known[name] in FLOATS or known[name].startswith("seq(map("):
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
        answers = self._session.run(images, self._output)
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
        answers = self._session.run(images, self._output)[: len(images)]
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

    def fingerprint(self) -> str:
        """Returns a hash of the file, of weights kept beside it, and of how images reach it."""
        decisive = (self.spec, self._session.takes, self._output, self.outputs)
        digest = hashlib.sha256(repr(decisive).encode() + hash_file(self.file))
        return digest.hexdigest()
