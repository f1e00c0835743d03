"""A PyTorch module as a target."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.errors import TargetError, one_line
from darkroom.images.targets.base import Target
from darkroom.images.targets.calling import called
from darkroom.training.frozen import learning
from darkroom.vision.memory import DEFAULT, SHARE, most_rows
from darkroom.vision.networks.checkpoints import bare
from darkroom.vision.networks.fingerprints import fingerprint
from darkroom.vision.networks.fitting import Room, fitted
from darkroom.vision.networks.precision import Precision, half_type, passed
from darkroom.vision.networks.slopes import slopes_tell
from darkroom.vision.pixels import noise_images, probe_images
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import Outputs as Outputs


class TorchTarget(Target):
    """A classifier with weights, and so with gradients.

    The module is put into evaluation mode and its parameters are frozen: an audit never changes
    the model, and gradients are taken with respect to images alone. A module through which no
    gradient goes, as under ``no_grad``, shows scores alone, and so does one whose gradients do not
    tell how its answers change, as where it rounds its input.
    """

    def __init__(
        self,
        model: nn.Module,
        shape: Sequence[int],
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
        outputs: Outputs = "logits",
        name: str = "torch",
        device: str = "cpu",
        batch: int = 256,
        memory: int = DEFAULT // SHARE,
        precision: Precision = "single",
    ) -> None:
        """Wraps a module and asks it two blank images to check what it was declared to be.

        Args:
            model: Takes ``(n, channels, height, width)`` in ``value_range``, returns
                ``(n, classes)``. Other dtypes, channels last, and answers that hold their logits
                among other things are found out; ``notes`` says so.
            shape: ``(channels, height, width)``.
            value_range: The values of black and of full intensity.
            outputs: Whether the module returns logits (or log-probabilities, which are logits
                too) or probabilities.
            name: What reports call it.
            device: Where the module runs.
            batch: The most rows answered at a time by :meth:`scores`.
            memory: Bytes that rows may take that are answered, or differentiated, at a time.
            precision: Whether the module's own passes are in ``half`` precision: ``bfloat16``, or
                ``float16`` on devices without it. Log-probabilities are always in 32 bits.

        Raises:
            TargetError: If the module fails on such images, or if what it returns is of the wrong
                shape, not finite, or not what ``outputs`` says.
        """
        self.spec = ImageSpec.of(shape, value_range)
        self.name = name
        self.outputs = outputs
        try:
            self.device = torch.device(device)
            self.model = bare(model).to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise TargetError(
                f"target {name}: device {device!r} cannot be used ({one_line(error)}): set "
                '[target] device = "cpu"'
            ) from error
        self.half, self.precision = half_type(precision, self.device), precision
        self.room = Room()
        self.model, self.notes = self._called()
        self.learns = learning(self.model)
        for weight in self.model.parameters():
            weight.requires_grad_(False)
        self.classes = self._probe()
        self.access = Access.WEIGHTS if self._differentiable() else Access.SCORES
        self.memory = memory
        self.batch = min(batch, most_rows(self.answers, self._noise(), memory))

    def answers(self, images: Tensor) -> Tensor:
        """Returns what the module answers, in the precision asked for and in parts that fit.

        Args:
            images: Float32 ``(n, channels, height, width)`` on the module's device.
        """
        return fitted(partial(passed, self.model, half=self.half), images, self.room)

    def _called(self) -> tuple[nn.Module, tuple[str, ...]]:
        """Returns the module as an audit calls it, and what was found out about how."""
        images = torch.from_numpy(probe_images(self.spec)).to(self.device)
        try:
            module, notes = called(self.model, self.spec, images)
        except TargetError as error:
            raise TargetError(f"target {self.name}: {error}") from error
        return module, tuple(notes)

    def _probe(self) -> int:
        """Returns the number of classes after checking the answers to black and to grey."""
        images = torch.from_numpy(probe_images(self.spec)).to(self.device)
        with torch.no_grad():
            answers = self.answers(images)
        if answers.ndim != 2 or len(answers) != 2:
            raise TargetError(
                f"target {self.name}: the model returned {list(answers.shape)} for two images, "
                "not (2, classes): wrap it so that it returns one row of scores an image"
            )
        if answers.shape[1] < 2:
            raise TargetError(
                f"target {self.name}: the model has a single output: model inversion needs at "
                "least two classes"
            )
        if not answers.is_floating_point():
            raise TargetError(
                f"target {self.name}: the model returned whole numbers: return its logits or "
                "probabilities instead of its decision"
            )
        self._check(answers)
        if self.outputs == "logits" and self._are_probabilities(answers) and self._sum_to_one():
            raise TargetError(
                f"target {self.name}: the model returns probabilities but was declared to return "
                'logits: set [target] outputs = "probabilities"'
            )
        return int(answers.shape[1])

    def _noise(self) -> Tensor:
        """Returns a few images of noise, always the same."""
        return torch.from_numpy(noise_images(self.spec)).to(self.device)

    def _sum_to_one(self) -> bool:
        """Tells whether answers to noise are probabilities too: sigmoids may be so by chance."""
        with torch.no_grad():
            return self._are_probabilities(self.answers(self._noise()))

    def _differentiable(self) -> bool:
        """Tells whether gradients can be taken in images, and tell how answers change there."""
        return slopes_tell(lambda images: self._logs(self.answers(images)), self._noise())

    def _check(self, answers: Tensor) -> None:
        """Refuses answers that are not finite or not what ``outputs`` declares.

        Raises:
            TargetError: As above.
        """
        if not torch.isfinite(answers).all():
            raise TargetError(
                f"target {self.name}: the model returned NaN or infinite values: check its "
                "weights and [target] range"
            )
        if self.outputs == "probabilities" and not self._are_probabilities(answers):
            raise TargetError(
                f"target {self.name}: the model's rows are no probabilities (they are negative or "
                'do not sum to one): set [target] outputs = "logits"'
            )

    def log_scores(self, images: Tensor) -> Tensor:
        """Returns the logarithm of every class's confidence, differentiable in ``images``.

        Args:
            images: Float32 ``(n, channels, height, width)`` in the target's range.

        Returns:
            ``(n, classes)``; the exponentials of a row sum to one.

        Raises:
            TargetError: If no gradient goes through the model, or it answers NaN, or something
                other than what was declared.
        """
        if self.access is not Access.WEIGHTS:
            raise self._refusal(Access.WEIGHTS)
        return self._log_scores(images)

    def _log_scores(self, images: Tensor) -> Tensor:
        # A layer that works in place must change neither a caller's images nor a leaf.
        answers = self.answers(images.to(self.device).clone()).to(images.device)
        self._check(answers.detach())
        logs = self._logs(answers)
        # Probabilities of 16 bits sum to one but roughly.
        return (
            logs
            if self.outputs == "probabilities" and self.half is None
            else logs.log_softmax(dim=1)
        )

    def _logs(self, answers: Tensor) -> Tensor:
        """Returns logits, or the logarithms of probabilities."""
        if self.outputs == "logits":
            return answers
        return answers.clamp_min(torch.finfo(answers.dtype).tiny).log()

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the confidence of every class; see :meth:`Target.scores`."""
        answers = [np.empty((0, self.classes))]
        with torch.no_grad():
            for start in range(0, len(images), self.batch):
                rows = torch.from_numpy(images[start : start + self.batch]).to(self.device)
                log_scores = self._log_scores(rows).cpu().double()
                answers.append(log_scores.softmax(dim=1).numpy())
        return np.concatenate(answers)

    def fingerprint(self) -> str:
        """Returns a hash of the module: structure, code, and every tensor that it holds."""
        half = [] if self.half is None else [str(self.half)]
        return fingerprint(self.model, self.spec, self.outputs, *half)

    def _are_probabilities(self, answers: Tensor) -> bool:
        """Tells whether every row is non-negative and sums to one; true of no rows."""
        sums, near = answers.float().sum(dim=1), 1e-3 if self.half is None else 1e-2
        return bool((answers >= 0).all() and ((sums - 1).abs() < near).all())
