"""An ONNX model that turns photos into templates."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from darkroom.errors import TargetError
from darkroom.onnx_files import hash_file
from darkroom.verifiers.targets.base import Encoder, Floats, Images
from darkroom.vision.networks.onnx import FLOATS, ImageSession
from darkroom.vision.pixels import in_batches, probe_images
from darkroom.vision.spec import ImageSpec

FEWEST = 2
"""Numbers in a template."""


class OnnxEncoder(Encoder):
    """An embedding net in a file, run by ONNX Runtime on the processor."""

    def __init__(self, file: Path, spec: ImageSpec, *, batch: int = 256) -> None:
        """Loads the model and asks it two blank images.

        Args:
            file: The ``.onnx`` file.
            spec: The images it takes.
            batch: The most rows answered at a time.

        Raises:
            MissingExtraError: If onnxruntime is not installed.
            TargetError: If the file cannot be loaded, or the model answers no templates.
        """
        self.name, self.spec, self.file = file.name, spec, file
        self._session = ImageSession(file, spec, "first", self.name)
        self.batch = self._session.takes.batch or batch
        floats = [name for name, kind in self._session.outputs.items() if kind in FLOATS]
        if not floats:
            raise TargetError(f"target {self.name}: no output holds numbers: export its embedding")
        self._output = floats[0]
        self.size = 0
        self.size = self._asked(probe_images(spec)).shape[1]

    def templates(self, images: Images) -> Floats:
        """Runs the model; see :meth:`Encoder.templates`."""
        found = in_batches(images, self.batch, self._asked)
        return np.concatenate([np.empty((0, self.size)), *found])

    def _asked(self, images: Images) -> Floats:
        answers = np.asarray(self._session.run(images, self._output), np.float64)
        if answers.ndim != 2 or len(answers) < len(images) or answers.shape[1] < FEWEST:
            raise TargetError(
                f"target {self.name}: output {self._output} is {list(answers.shape)} for "
                f"{len(images)} images, not one template each: export its embedding"
            )
        return answers[: len(images)]

    def fingerprint(self) -> str:
        """Returns a hash of the file, of weights kept beside it, and of how images reach it."""
        decisive = (self.spec, self._session.takes, self._output)
        return hashlib.sha256(repr(decisive).encode() + hash_file(self.file)).hexdigest()
