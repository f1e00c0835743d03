"""How a module is called, and which part of what it returns is its scores: found by trying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from darkroom.errors import TargetError, one_line
from darkroom.vision.spec import ImageSpec

_WORDS = {torch.float64: "float64", torch.float16: "float16", torch.bfloat16: "bfloat16"}


class Form(NamedTuple):
    """The form in which a module takes images.

    Attributes:
        dtype: Of the numbers; ``uint8`` stands for bytes, black at 0 and white at 255.
        last: Whether channels come last.
        alone: Whether it takes one image at a time.
    """

    dtype: torch.dtype
    last: bool = False
    alone: bool = False


class Called(nn.Module):
    """A module called in its own form, that returns float32 ``(n, classes)``.

    Attributes:
        module: The model itself.
        place: Where in its last answer the scores were, in words; empty for all of it.
    """

    def __init__(self, module: nn.Module, form: Form, spec: ImageSpec) -> None:
        """Wraps a module.

        Args:
            module: Takes images in that form.
            form: Which.
            spec: The images that come.
        """
        super().__init__()
        self.module = module
        self.place = ""
        self._form, self._spec = form, spec

    def forward(self, images: Tensor) -> Tensor:
        """Answers float32 ``(n, channels, height, width)`` in the target's range."""
        form, spec = self._form, self._spec
        given = images.permute(0, 2, 3, 1) if form.last else images
        if form.dtype == torch.uint8:
            given = (given - spec.low) * (255 / spec.width_of_range)
            given = given.round().clamp(0, 255)
        given = given.to(form.dtype)
        if form.alone and len(given) > 1:
            found = torch.cat([self._scores(self.module(one)) for one in torch.split(given, 1)])
        else:
            found = self._scores(self.module(given))
        return found.float() if found.is_floating_point() else found

    def _scores(self, answer: Any) -> Tensor:
        self.place, found = scores_in(answer)
        # Convolutional heads leave a height and a width of one.
        while found.ndim > 2 and found.shape[-1] == 1:
            found = found.squeeze(-1)
        return found

    def extra_repr(self) -> str:
        """Returns what decides answers beside the module."""
        return f"{self._form}"


def called(module: nn.Module, spec: ImageSpec, images: Tensor) -> tuple[nn.Module, list[str]]:
    """Finds out how a module is called.

    Args:
        module: In evaluation mode.
        spec: The images that an audit gives.
        images: Two of them, float32.

    Returns:
        A module that takes float32 images as the audit has them and returns a tensor, the given
        one where it does so itself; and what was found, in words.

    Raises:
        TargetError: If the module fails on images in every form.
    """
    failed: Exception | None = None
    for form in _forms(module):
        wrapped = Called(module, form, spec)
        try:
            with torch.no_grad():
                wrapped(images)
                answers = module(images) if form == Form(torch.float32) else None
        except TargetError:
            raise
        except Exception as error:
            failed = failed or error
            continue
        if _as_it_is(answers):
            return module, []
        answered = [f"answers {wrapped.place}"] if wrapped.place else []
        return wrapped, [*_said(form), *answered]
    assert failed is not None
    raise TargetError(
        f"the model cannot take images of shape {list(spec.shape)} ({one_line(failed)}): set "
        "[target] shape to what it takes"
    ) from failed


def _as_it_is(answers: Any) -> bool:
    """Tells whether an answer is what an audit works with, or can say what is wrong with it."""
    if not isinstance(answers, Tensor) or answers.dtype not in (torch.float32, torch.int64):
        return False
    return answers.ndim < 3 or answers.shape[-1] > 1


def _forms(module: nn.Module) -> Iterator[Form]:
    """Yields forms to try, the usual ones first."""
    tensors = (*module.parameters(), *module.buffers())
    ready = (one for one in tensors if not is_lazy(one))
    floats = [one for one in ready if one.is_floating_point()]
    own = floats[0].dtype if floats else torch.float32
    dtypes = dict.fromkeys([own, torch.float32, torch.uint8])
    for alone in (False, True):
        for last in (False, True):
            yield from (Form(dtype, last, alone) for dtype in dtypes)


def _said(form: Form) -> Iterator[str]:
    if form.dtype == torch.uint8:
        yield "takes bytes, 0 for black and 255 for white"
    elif form.dtype != torch.float32:
        yield f"takes {_WORDS.get(form.dtype, str(form.dtype))}"
    if form.last:
        yield "takes channels last"
    if form.alone:
        yield "takes one image at a time"


def scores_in(answer: Any) -> tuple[str, Tensor]:
    """Returns the tensor that holds scores in what a module returned.

    A tensor is taken as it is; else its ``logits``, the first of a tuple, or the only tensor of
    floats in a dictionary.

    Returns:
        Where it was, in words, empty for a tensor itself; and the tensor.

    Raises:
        TargetError: If it is something else, or several could be meant.
    """
    if isinstance(answer, Tensor):
        return "", answer
    logits = answer.get("logits") if isinstance(answer, Mapping) else None
    logits = getattr(answer, "logits", None) if logits is None else logits
    if isinstance(logits, Tensor):
        return "with its logits among other things", logits
    if isinstance(answer, Mapping):
        floats = {
            key: value
            for key, value in answer.items()
            if isinstance(value, Tensor) and value.is_floating_point()
        }
        if len(floats) == 1:
            key, value = next(iter(floats.items()))
            return f"with a dictionary, of which {key!r} is taken", value
        raise TargetError(
            f"the model returned a dictionary with {len(floats)} tensors of floats "
            f"({', '.join(map(repr, floats))}): wrap it so that it returns one row of scores an "
            "image"
        )
    if isinstance(answer, tuple | list) and answer and isinstance(answer[0], Tensor):
        return f"with {len(answer)} things, of which the first is taken", answer[0]
    raise TargetError(
        f"the model returned {type(answer).__name__} for two images, not (2, classes): wrap it so "
        "that it returns one row of scores an image"
    )
