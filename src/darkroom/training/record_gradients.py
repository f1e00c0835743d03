"""The gradient of each record of a batch, for any module: by Opacus, or one record at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from darkroom.errors import MissingExtraError, PlanError, one_line
from darkroom.training.frozen import in_training

Losses = Callable[[nn.Module, Tensor], Tensor]
"""Turns a module and the numbers of records into the sum of those records' losses."""

_FAULTS = (
    *(RuntimeError, NotImplementedError, AttributeError, ValueError, TypeError, IndexError),
    *(KeyError, AssertionError),
)
"""What Opacus raises on modules that it was not made for."""

_APART = 1e-3
"""Share of the largest part of a gradient by which a sum in single precision may be off."""


class RecordGradients:
    """Fills ``grad_sample`` of weights as Opacus' optimizers read it.

    Opacus computes all records' gradients in one pass, by hooks on layers. It sees nothing of a
    weight that is used outside of its layer's call, and fails on layers that work in place or take
    more than one tensor. So its gradients must add up to the batch's; where they do not, or it
    fails, each record passes through the module alone, which gives the same for any module, and
    takes as many passes as there are records.
    """

    def __init__(self, module: nn.Module, losses: Losses, weights: list[Any], owner: str) -> None:
        """Puts a module into training mode.

        Args:
            module: Is trained.
            losses: What is minimised.
            weights: Those of its weights that learn.
            owner: The defence, for messages.

        Raises:
            MissingExtraError: If Opacus is not installed.
        """
        self._module, self._losses, self._owner = in_training(module), losses, owner
        self._weights = weights
        self._forget()  # what a training before has left
        self._wrapped = self._with_hooks()

    @property
    def alone(self) -> bool:
        """Whether records pass one at a time."""
        return self._wrapped is None

    def fill(self, rows: Tensor) -> None:
        """Fills ``grad_sample`` of each weight, ``(records, *shape)``.

        Args:
            rows: The numbers of the records, one at least.

        Raises:
            PlanError: If the module fails, or keeps numbers of what it has seen.
        """
        buffers = [one.clone() for one in self._module.buffers()]
        if self._wrapped is not None and not self._filled_together(self._wrapped, rows):
            self._without_hooks(self._wrapped)
            self._wrapped = None
        if self._wrapped is None:
            self._fill_alone(rows)
        self._require_nothing_kept(buffers)

    def close(self) -> None:
        """Leaves the module without hooks and gradients."""
        if self._wrapped is not None:
            self._without_hooks(self._wrapped)
        for weight in self._module.parameters():
            weight.grad = None

    def _with_hooks(self) -> Any:
        """Returns the module as Opacus wraps it, or ``None`` where it refuses."""
        try:
            from opacus import GradSampleModule
        except ImportError as error:
            raise MissingExtraError("opacus", "dp") from error
        try:
            return GradSampleModule(self._module, loss_reduction="sum")
        except _FAULTS:
            return None

    def _without_hooks(self, wrapped: Any) -> None:
        wrapped.to_standard_module()
        for layer in self._module.modules():
            for name in ("activations", "max_batch_len"):
                layer.__dict__.pop(name, None)

    def _filled_together(self, wrapped: Any, rows: Tensor) -> bool:
        """Asks Opacus; tells whether its gradients are those of all records."""
        try:
            with warnings.catch_warnings():
                # That the first layer's input needs no gradient is as it should be.
                warnings.filterwarnings("ignore", "Full backward hook is firing")
                self._losses(wrapped, rows).backward()  # type: ignore[no-untyped-call]
        except _FAULTS:
            self._forget()
            return False
        if not all(_adds_up(weight, len(rows)) for weight in self._weights):
            self._forget()
            return False
        for weight in self._weights:
            if weight.grad is None:  # a layer that is not used
                weight.grad_sample = torch.zeros((len(rows), *weight.shape), device=weight.device)
        return True

    def _forget(self) -> None:
        for weight in self._module.parameters():
            weight.grad = None

    def _fill_alone(self, rows: Tensor) -> None:
        filled = [torch.zeros((len(rows), *one.shape), device=one.device) for one in self._weights]
        for place in range(len(rows)):
            self._forget()
            try:
                self._losses(self._module, rows[place : place + 1]).backward()  # type: ignore[no-untyped-call]
            except _FAULTS as error:
                raise PlanError(
                    f"{self._owner}: {type(self._module).__name__} cannot be trained "
                    f"({one_line(error)})"
                ) from error
            for weight, samples in zip(self._weights, filled, strict=True):
                if weight.grad is not None:
                    samples[place] = weight.grad
        self._forget()
        for weight, samples in zip(self._weights, filled, strict=True):
            weight.grad_sample = samples

    def _require_nothing_kept(self, before: list[Tensor]) -> None:
        for (name, after), one in zip(self._module.named_buffers(), before, strict=True):
            if not torch.equal(after, one):
                raise PlanError(
                    f"{self._owner}: in training, {name} keeps numbers of the records that the "
                    "module has seen, to which no noise is added, so no epsilon would hold: freeze "
                    "that layer, or take another"
                )


def _adds_up(weight: Any, records: int) -> bool:
    """Tells whether the gradients of single records are there, and add up to that of all."""
    samples = getattr(weight, "grad_sample", None)
    if weight.grad is None or not isinstance(samples, Tensor):
        return weight.grad is None and samples is None
    if samples.shape != (records, *weight.shape):
        return False
    largest = float(weight.grad.abs().max())
    return bool((samples.sum(dim=0) - weight.grad).abs().max() <= _APART * largest + 1e-9)
