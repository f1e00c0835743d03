"""Passes through a model on a device whose memory may end: what does not fit is halved."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from darkroom.errors import TargetError

Run = Callable[[Tensor], Tensor]
"""A model's pass: images in, as many rows out, each of which hangs on its own image alone."""


class Room:
    """What is known of a device's memory.

    Attributes:
        rows: The most that go through a model at once; ``None`` while all that were tried fitted.
    """

    rows: int | None = None

    def shrink(self, rows: int) -> None:
        """Notes that so many did not fit, and gives back what was reserved for them."""
        self.rows = rows // 2
        gc.collect()  # what the failed pass has made may hang on itself
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def fitted(run: Run, images: Tensor, room: Room) -> Tensor:
    """Runs a model, in parts if a device has no memory for all rows at once.

    On the processor it just runs, since memory there does not end in an error that could be
    mended. The answers are differentiable in the images; a pass whose backward pass does not fit
    is run again in parts.

    Args:
        run: The model's pass.
        images: ``(n, channels, height, width)`` where the model is.
        room: What is known of the device; takes what is found out.

    Raises:
        TargetError: If a single row does not fit.
    """
    if images.device.type == "cpu" or not len(images):
        return run(images)
    if torch.is_grad_enabled() and images.requires_grad:
        answers: Tensor = _Fitted.apply(images, run, room)  # type: ignore[no-untyped-call]
        return answers
    return _in_parts(lambda part: run(images[part]), len(images), room)


def out_of_memory(error: RuntimeError) -> bool:
    """Tells whether an error says that a device's memory ended."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def _in_parts(work: Callable[[slice], Tensor], count: int, room: Room) -> Tensor:
    """Does rows as many at a time as fit, and returns what comes out in one."""
    parts, start = [], 0
    while start < count:
        size = min(count - start, room.rows or count)
        try:
            found = work(slice(start, start + size))
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if size == 1:
                raise TargetError(
                    "the device has no memory for a single image and its gradient: set [target] "
                    'precision = "half" or device = "cpu"'
                ) from error
            found = None
        # Here the error is gone, and with it all that it kept alive.
        if found is None:
            room.shrink(size)
            continue
        parts.append(found)
        start += size
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Fitted(torch.autograd.Function):
    """Keeps the graph of a pass that fits at once; of others runs each part again when asked."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, run: Run, room: Room) -> Tensor:
        ctx.images, ctx.run, ctx.room, ctx.graphs = images.detach(), run, room, []

        def passed(part: slice) -> Tensor:
            if part.stop - part.start < len(images):
                return run(ctx.images[part])
            graph = _graph(run, ctx.images)
            ctx.graphs.append(graph)
            return graph[1].detach()

        return _in_parts(passed, len(images), room)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        def pulled(part: slice) -> Tensor:
            seen, answers = ctx.graphs.pop() if ctx.graphs else _graph(ctx.run, ctx.images[part])
            return torch.autograd.grad(answers, seen, slope[part])[0]

        return _in_parts(pulled, len(ctx.images), ctx.room), None, None


def _graph(run: Run, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns a leaf of the images, and what the model answers to it, with its graph."""
    with torch.enable_grad():
        seen = images.detach().requires_grad_()
        # A layer that works in place must not change a leaf.
        return seen, run(seen.clone())
