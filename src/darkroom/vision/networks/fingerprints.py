"""What a module is, as a hash: code, weights, and whatever tensors it holds besides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from types import CodeType

import torch
from torch import Tensor, nn

_MANGLED = re.compile(r"___torch_mangle_\d+| # \S+:\d+:\d+")


def fingerprint(module: nn.Module, *beside: object) -> str:
    """Returns a hash of all that decides what a module answers, as hexadecimal digits.

    Args:
        module: The module.
        beside: What else decides, each with a text of its own.
    """
    digest = hashlib.sha256(repr((str(module), *beside)).encode())
    for part in _parts(module):
        digest.update(part)
    return digest.hexdigest()


def _parts(module: nn.Module) -> Iterator[bytes]:
    # A state dict would leave out buffers that are not saved, such as a fixed normalisation.
    tensors = [*module.named_parameters(), *module.named_buffers()]
    yield from _tensors(tensors)
    for name, inner in module.named_modules():
        if isinstance(inner, torch.jit.ScriptModule):
            yield from _script(inner)
            continue
        if not type(inner).__module__.startswith("torch."):
            yield from (f"{name} {word}".encode() for word in _code(type(inner).forward))
        held = sorted((key, one) for key, one in vars(inner).items() if isinstance(one, Tensor))
        yield from _tensors([(f"{name}.{key}", one) for key, one in held])


def _tensors(named: list[tuple[str, Tensor]]) -> Iterator[bytes]:
    for name, tensor in sorted(named, key=lambda pair: pair[0]):
        yield name.encode()
        flat = tensor.detach().cpu().contiguous().flatten()
        yield flat.view(torch.uint8).numpy().tobytes()


def _code(function: object) -> Iterator[str]:
    """Yields what a function does, wherever it is written."""
    code = getattr(function, "__code__", None)
    waiting = [code] if isinstance(code, CodeType) else []
    while waiting:
        one = waiting.pop()
        waiting += [part for part in one.co_consts if isinstance(part, CodeType)]
        plain = [part for part in one.co_consts if isinstance(part, int | float | str)]
        yield repr((one.co_code, one.co_names, plain))


def _script(module: torch.jit.ScriptModule) -> Iterator[bytes]:
    """Yields code and constants of TorchScript, which a frozen module has instead of weights."""
    graph = module.inlined_graph
    # Numbers tell apart what was compiled under one name in one process.
    yield _MANGLED.sub("", str(graph)).encode()
    held = [
        node.t("value")
        for node in graph.findAllNodes("prim::Constant")  # type: ignore[attr-defined]
        if node.hasAttribute("value") and node.kindOf("value") == "t"
    ]
    yield from _tensors([(f"{place:06}", tensor) for place, tensor in enumerate(held)])
