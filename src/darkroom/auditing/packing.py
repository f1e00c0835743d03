"""Objects of Darkroom's own as arrays and JSON, which run no code when they are read.

What judges, priors and baselines are made of can be packed: numbers, texts, containers, arrays,
tensors, modules of ``torch.nn``, estimators of scikit-learn (as skops has them), and instances of
Darkroom's own classes, which are put together again without calling them. Nothing else can.
"""

from __future__ import annotations

import importlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

OURS = ("darkroom.", "torch.nn.")
"""Where the classes are from whose instances can be packed."""

TRUSTED = ("sklearn.", "numpy.", "scipy.")
"""Where the types are from that an estimator may hold."""

Node = Any
"""What JSON can hold; a mapping says in its one key what it stands for."""


class CannotPack(Exception):  # noqa: N818 - no mistake: such an object is made anew each time
    """An object is of a kind that cannot be packed."""


class Packed(NamedTuple):
    """An object in parts.

    Attributes:
        structure: JSON.
        arrays: What it refers to, by place.
    """

    structure: str
    arrays: list[NDArray[Any]]


def pack(value: object) -> Packed:
    """Takes an object apart.

    >>> unpack(pack({"a": (1, np.arange(2))}))
    {'a': (1, array([0, 1]))}

    Raises:
        CannotPack: If there is a part that cannot be packed.
    """
    packer = _Packer()
    return Packed(json.dumps(packer.node(value)), packer.arrays)


def unpack(packed: Packed) -> Any:
    """Puts an object together again; arrays are shared with what it is made from.

    Raises:
        ValueError: If it was not made by :func:`pack`.
    """
    try:
        return _Unpacker(packed.arrays).value(json.loads(packed.structure))
    except (KeyError, IndexError, TypeError, AttributeError, ImportError) as error:
        raise ValueError(f"not packed here: {error}") from error


class _Packer:
    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []
        self._known: dict[int, int] = {}
        self._alive: list[object] = []  # so that no identity is used twice

    def node(self, value: object) -> Node:
        """Returns what stands for a value."""
        if value is None or isinstance(value, bool | str) or type(value) in (int, float):
            return value
        if id(value) in self._known:
            return {"again": self._known[id(value)]}
        self._known[id(value)] = len(self._known)
        self._alive.append(value)
        return self._new(value)

    def _new(self, value: Any) -> Node:
        kind = type(value)
        if kind in (list, tuple, set, frozenset):
            return {kind.__name__: [self.node(one) for one in value]}
        if kind in (dict, OrderedDict):
            pairs = [[self.node(key), self.node(one)] for key, one in value.items()]
            return {kind.__name__: pairs}
        if kind is np.ndarray or isinstance(value, np.generic):
            return {"array": self._array(np.asarray(value)), "scalar": kind is not np.ndarray}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in ("torch.Tensor", "torch.nn.parameter.Parameter"):
            array = self._array(value.detach().cpu().numpy())
            return {"tensor": array, "grad": value.requires_grad, "kind": kind.__qualname__}
        if name == "torch.Size":
            return {"size": list(value)}
        if kind.__module__.startswith("sklearn.") and hasattr(value, "get_params"):
            return {"estimator": self._array(_estimator(value))}
        if not name.startswith(OURS):
            raise CannotPack(name)
        place = [kind.__module__, kind.__qualname__]
        if isinstance(value, tuple):
            return {"named": place, "items": [self.node(one) for one in value]}
        if not hasattr(value, "__dict__") or "<locals>" in name or isinstance(value, type):
            raise CannotPack(name)
        return {"object": place, "state": self.node(dict(vars(value)))}

    def _array(self, array: NDArray[Any]) -> int:
        if array.dtype.hasobject:
            raise CannotPack("an array of objects")
        ordered = array.flags.c_contiguous or array.flags.f_contiguous
        self.arrays.append(array if ordered else np.ascontiguousarray(array))
        return len(self.arrays) - 1


class _Unpacker:
    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self._known: list[Any] = []

    def value(self, node: Node) -> Any:
        """Returns what a node stands for."""
        if not isinstance(node, dict):
            return node
        if "again" in node:
            return self._known[node["again"]]
        place = len(self._known)
        self._known.append(None)
        if "object" in node:
            made = _class(*node["object"])
            # Known before its parts, which may refer to it.
            self._known[place] = new = object.__new__(made)
            vars(new).update(self.value(node["state"]))
            return new
        self._known[place] = found = self._new(node)
        return found

    def _new(self, node: Mapping[str, Any]) -> Any:
        if "array" in node:
            array = self._arrays[node["array"]]
            return array[()] if node["scalar"] else array
        if "tensor" in node:
            return _tensor(self._arrays[node["tensor"]], node)
        if "estimator" in node:
            return _loaded(self._arrays[node["estimator"]].tobytes())
        if "named" in node:
            parts = [self.value(one) for one in node["items"]]
            return tuple.__new__(_class(*node["named"]), parts)
        if "dtype" in node:
            return np.dtype(node["dtype"])
        if "size" in node:
            return importlib.import_module("torch").Size(node["size"])
        ((name, parts),) = node.items()
        if name in ("dict", "OrderedDict"):
            pairs = ((self.value(key), self.value(one)) for key, one in parts)
            return dict(pairs) if name == "dict" else OrderedDict(pairs)
        kinds = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
        return kinds[name](self.value(one) for one in parts)


def _class(module: str, name: str) -> type[Any]:
    """Returns a class of Darkroom's own or of ``torch.nn``.

    Raises:
        ValueError: If it is none.
    """
    if not f"{module}.{name}".startswith(OURS):
        raise ValueError(f"{module}.{name} is no class that can be packed")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not isinstance(found, type):
        raise ValueError(f"{module}.{name} is no class")
    return found


def _tensor(array: NDArray[Any], node: Mapping[str, Any]) -> Any:
    # Reports unpack nothing, and need no PyTorch.
    torch = importlib.import_module("torch")
    tensor = torch.from_numpy(array)
    if node["kind"] == "Parameter":
        return torch.nn.Parameter(tensor, requires_grad=node["grad"])
    return tensor.requires_grad_(node["grad"])


def _estimator(estimator: object) -> NDArray[np.uint8]:
    """Returns an estimator of scikit-learn as skops writes it."""
    try:
        content = importlib.import_module("skops.io").dumps(estimator)
    except ImportError as error:
        raise CannotPack("skops is not installed") from error
    return np.frombuffer(content, np.uint8)


def _loaded(content: bytes) -> Any:
    """Reads an estimator.

    Raises:
        ValueError: If it holds what is of no library that it may hold.
    """
    io = importlib.import_module("skops.io")
    known = [one for one in io.get_untrusted_types(data=content) if one.startswith(TRUSTED)]
    try:
        return io.loads(content, trusted=known)
    except Exception as error:
        raise ValueError(f"no estimator: {error}") from error
