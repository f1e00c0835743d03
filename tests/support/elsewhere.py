"""A device that is not the processor, on any machine: what crosses to and from it is seen.

Tensors there say that they are on ``meta``; their numbers stay on the processor, out of reach of
all but operations on tensors of that device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
ATEN = torch.ops.aten
SCALARS = (ATEN._local_scalar_dense.default, ATEN.is_nonzero.default, ATEN.equal.default)

MIXING = (ATEN.copy_.default, ATEN.index.Tensor)
"""What real devices do with tensors of both places; places to index may be on the processor."""


class There(Tensor):
    """A tensor of the other device."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> There:
        made: There = Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
            requires_grad=here.requires_grad,
        )
        made.here = here.detach()
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return Elsewhere.current().compute(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets tensors be made on the other device, and computes with them.

    Attributes:
        crossings: The operations by which tensors of more than one number came or went.
        back: Those of them by which some came back from there.
        refused: Operations on tensors of both places, which no real device would do.
        doubles: The operations that made a float64 there.
        scalars: How often a single number was looked at.
        sealed: Whether a crossing, and a float64 there, is an error.
    """

    _open: ClassVar[list[Elsewhere]] = []

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.crossings: list[str] = []
        self.back: list[str] = []
        self.refused: list[str] = []
        self.doubles: list[str] = []
        self.scalars = 0
        self.sealed = False

    @classmethod
    def current(cls) -> Elsewhere:
        return cls._open[-1]

    def __enter__(self) -> Any:
        self._open.append(self)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._open.pop()

    @contextmanager
    def seal(self) -> Iterator[None]:
        """Makes crossings errors as long as the context lasts."""
        self.sealed = True
        try:
            yield
        finally:
            self.sealed = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.compute(func, args, kwargs or {})

    def compute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Computes with the numbers, and puts what comes out where it belongs."""
        given = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
        there = any(isinstance(one, There) for one in given)
        wanted = kwargs.get("device")
        if not there and wanted != DEVICE:
            return func(*args, **kwargs)
        goes = there and wanted is not None and torch.device(wanted) != DEVICE
        comes = not there and bool(given)
        mixed = there and any(not isinstance(one, There) and one.ndim for one in given)
        if goes or comes or mixed:
            self._crosses(func, given, back=goes)
        if mixed and func not in MIXING:
            self.refused.append(str(func))
        if func in SCALARS:
            self.scalars += 1
        args, kwargs = tree_map(_here, (args, kwargs))
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        found = func(*args, **kwargs)
        if goes:
            return found
        return self._placed(func, found, given)

    def _crosses(self, func: Any, given: list[Tensor], *, back: bool) -> None:
        if max(one.numel() for one in given) <= 1:
            self.scalars += 1
            return
        self.crossings.append(str(func))
        if back:
            self.back.append(str(func))
        assert not self.sealed, f"{func} crosses with {[tuple(one.shape) for one in given]}"

    def _placed(self, func: Any, found: Any, given: list[Tensor]) -> Any:
        """Wraps what is new; what an operation changed in place is what it was given."""
        known = {id(one.here): one for one in given if isinstance(one, There)}

        def place(one: Any) -> Any:
            if not isinstance(one, Tensor):
                return one
            if one.dtype == torch.float64:
                self.doubles.append(str(func))
                assert not self.sealed, f"{func} makes a float64"
            return known[id(one)] if id(one) in known else There(one)

        return tree_map(place, found)


def _here(one: Any) -> Any:
    return one.here if isinstance(one, There) else one


def require_the_same(audited: Callable[[torch.device], Any]) -> None:
    """Makes sure that an audit comes to the same there as here, and keeps to what devices do.

    Args:
        audited: Audits on a device; returns the cells of ``results.json``.
    """
    here = audited(torch.device("cpu"))
    with Elsewhere() as elsewhere:
        there = audited(DEVICE)
        assert elsewhere.refused == elsewhere.doubles == []
        assert elsewhere.crossings
    for one, other in zip(here, there, strict=True):
        assert (one["attack"], one["queries"]) == (other["attack"], other["queries"])
        assert one["success"] == other["success"]
