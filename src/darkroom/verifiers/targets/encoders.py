"""Encoders in this process: PyTorch modules and functions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from darkroom.errors import TargetError, one_line
from darkroom.named import origin
from darkroom.training.frozen import learning
from darkroom.verifiers.targets.base import Encoder, Floats, Images
from darkroom.vision.memory import DEFAULT, SHARE, most_rows
from darkroom.vision.networks.checkpoints import bare
from darkroom.vision.networks.fingerprints import fingerprint
from darkroom.vision.networks.fitting import Room, fitted
from darkroom.vision.networks.precision import Precision, half_type, passed
from darkroom.vision.networks.slopes import slopes_tell
from darkroom.vision.pixels import in_batches, noise_images, probe_images
from darkroom.vision.spec import ImageSpec

FEWEST = 2
"""Numbers in a template."""


class TorchEncoder(Encoder):
    """A PyTorch module that takes images and returns templates."""

    def __init__(
        self,
        model: nn.Module,
        spec: ImageSpec,
        *,
        name: str = "torch",
        device: str = "cpu",
        batch: int = 256,
        memory: int = DEFAULT // SHARE,
        precision: Precision = "single",
    ) -> None:
        """Wraps a module and asks it two images.

        Args:
            model: Takes ``(n, channels, height, width)`` in the range of ``spec``, returns
                ``(n, size)``.
            spec: The images it takes.
            name: What reports call it.
            device: Where it runs.
            batch: The most rows answered at a time.
            memory: Bytes that these may take.
            precision: Whether its passes are in ``half`` precision; see ``TorchTarget``.

        Raises:
            TargetError: If it fails on such images, or returns something else.
        """
        self.name, self.spec = name, spec
        try:
            self.device = torch.device(device)
            self.model = bare(model).to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise TargetError(
                f"target {name}: device {device!r} cannot be used ({one_line(error)}): set "
                '[target] device = "cpu"'
            ) from error
        self.learns = learning(self.model)
        for weight in self.model.parameters():
            weight.requires_grad_(False)
        self.half, self.precision = half_type(precision, self.device), precision
        self.room = Room()
        probe = torch.from_numpy(probe_images(spec)).to(self.device)
        try:
            with torch.no_grad():
                answers = self.answers(probe)
        except Exception as error:
            raise TargetError(
                f"target {name}: the model fails on images of shape {list(spec.shape)} "
                f"({one_line(error)}): set [target] shape to what it takes"
            ) from error
        self.size = _size(answers, name)
        noise = torch.from_numpy(noise_images(spec)).to(self.device)
        self.differentiable = slopes_tell(self.answers, noise)
        self.batch = min(batch, most_rows(self.answers, probe, memory))

    def answers(self, images: Tensor) -> Tensor:
        """Returns what the module answers, in the precision asked for and in parts that fit.

        Args:
            images: Float32 ``(n, channels, height, width)`` on the module's device.
        """
        return fitted(partial(passed, self.model, half=self.half), images, self.room)

    def templates(self, images: Images) -> Floats:
        """Runs the module; see :meth:`Encoder.templates`."""
        found = [np.empty((0, self.size))]
        with torch.no_grad():
            for start in range(0, len(images), self.batch):
                rows = torch.from_numpy(np.ascontiguousarray(images[start : start + self.batch]))
                found.append(self.answers(rows.to(self.device)).cpu().double().numpy())
        return np.concatenate(found)

    def differentiable_templates(self, images: Tensor) -> Tensor:
        """Runs the module; see :meth:`Encoder.differentiable_templates`."""
        if not self.differentiable:
            return super().differentiable_templates(images)
        # A layer that works in place must change neither a caller's images nor a leaf.
        return self.answers(images.to(self.device).clone()).to(images.device)

    def fingerprint(self) -> str:
        """Returns a hash of the module: structure, code, and every tensor that it holds."""
        half = [] if self.half is None else [str(self.half)]
        return fingerprint(self.model, self.spec, "templates", *half)


def _size(answers: Any, name: str) -> int:
    """Returns the numbers in a template, of two answers.

    Raises:
        TargetError: If they are something else.
    """
    if not isinstance(answers, Tensor) or answers.ndim != 2 or len(answers) != 2:
        shape = list(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
        raise TargetError(
            f"target {name}: the model returned {shape} for two images, not (2, size): wrap it so "
            "that it returns one template an image"
        )
    if not answers.is_floating_point() or answers.shape[1] < FEWEST:
        raise TargetError(
            f"target {name}: the model returned {answers.shape[1]} numbers of {answers.dtype} an "
            "image, which are no template: return its embedding"
        )
    if not torch.isfinite(answers).all():
        raise TargetError(
            f"target {name}: the model returned NaN or infinite values: check its weights and "
            "[target] range"
        )
    return int(answers.shape[1])


class FunctionEncoder(Encoder):
    """Any function from images to templates."""

    def __init__(
        self, function: Callable[[Images], Any], spec: ImageSpec, *, name: str, batch: int = 256
    ) -> None:
        """Wraps a function and asks it two images.

        Args:
            function: Takes float32 ``(n, channels, height, width)`` in the range of ``spec``,
                returns ``(n, size)``; a row of NaN where it finds no face.
            spec: The images it takes.
            name: What reports call it.
            batch: The most rows asked at a time.

        Raises:
            TargetError: If it fails, or returns something else.
        """
        self.name, self.spec, self.function, self.batch = name, spec, function, batch
        self.size = 0
        self.size = self._asked(probe_images(spec)).shape[1]

    def templates(self, images: Images) -> Floats:
        """Calls the function; see :meth:`Encoder.templates`."""
        return np.concatenate(
            [np.empty((0, self.size)), *in_batches(images, self.batch, self._asked)]
        )

    def _asked(self, images: Images) -> Floats:
        try:
            found = np.asarray(self.function(images), np.float64)
        except Exception as error:
            raise TargetError(
                f"target {self.name}: calling it failed ({one_line(error)}): it is called with "
                f"float32 (n, {', '.join(map(str, self.spec.shape))}) and returns (n, size)"
            ) from error
        if found.ndim != 2 or len(found) != len(images) or found.shape[1] < FEWEST:
            raise TargetError(
                f"target {self.name}: it returned {list(found.shape)} for {len(images)} images, "
                "not (n, size): return one template an image"
            )
        if self.size not in (0, found.shape[1]):
            raise TargetError(f"target {self.name}: its templates differ in size: return one size")
        return found

    def fingerprint(self) -> str:
        """Returns a hash of the function's code and of its answers to two images."""
        answers = self._asked(probe_images(self.spec)).round(4).tobytes()
        words = [repr(self.spec), self.name, *origin(type(self.function))]
        return hashlib.sha256("".join(words).encode() + answers).hexdigest()
