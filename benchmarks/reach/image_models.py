"""Models of images: modules, checkpoints, programs, other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import darkroom
from benchmarks.reach.checkpoints import audited_from_plan, checkpoints, programs
from benchmarks.reach.other_libraries import other_libraries
from benchmarks.reach.planted.images import (
    PEOPLE,
    SHAPE,
    SIDE,
    found,
    options,
    planted,
    taught,
)
from benchmarks.reach.planted.nets import (
    DenseNet,
    ForwardFeatures,
    MobileNet,
    ResNet,
    convolutional,
)
from benchmarks.reach.rows import Row


def rows() -> Iterator[Row]:
    """Yields what people have."""
    yield from _modules()
    yield from _forms()
    yield from _answers()
    yield from _without_gradients()
    yield from checkpoints()
    yield from programs()
    yield from other_libraries()
    yield from _no_models()


def _audit(model: Any, folder: Path, attack: str = "gradient", **changes: Any) -> bool:
    """Audits a model from Python; it must come back as it was."""
    known = planted()
    before = _state(model)
    asked = {**options(folder / "runs", attack), **changes}
    run = darkroom.audit(model, (known.images, known.people), **asked)
    return found(run) and _state(model) == before


def _state(model: Any) -> list[tuple[bool, ...]]:
    if not isinstance(model, nn.Module):
        return []
    modes = [(part.training,) for part in model.modules()]
    return [*modes, *((weight.requires_grad,) for weight in model.parameters())]


def _meet(build: Callable[[], Any], folder: Path) -> bool:
    return _audit(build(), folder)


def _as_given(model: Any) -> Any:
    return model


def _built(build: Callable[[], nn.Module]) -> nn.Module:
    return taught(build())


def _in_dtype(dtype: torch.dtype) -> nn.Module:
    return taught(convolutional()).to(dtype)


def _modules() -> Iterator[Row]:
    kin: list[tuple[str, str, Callable[[], nn.Module]]] = [
        ("torch", "a Sequential with in-place ReLU", convolutional),
        ("torchvision's kin", "ResNet-18's layout", ResNet),
        ("torchvision's kin", "MobileNetV3's parts", MobileNet),
        ("torchvision's kin", "DenseNet's parts", DenseNet),
        ("timm's kin", "forward_features, normalisation inside", ForwardFeatures),
    ]
    for library, what, build in kin:
        yield Row(library, what, partial(_meet, partial(_built, build)))
    for name in ("ViT", "ResNet", "ConvNext", "Swin"):
        yield Row(
            "transformers",
            f"{name}ForImageClassification",
            partial(_meet, partial(_transformer, name)),
        )
    yield Row(
        "torch",
        "DataParallel",
        lambda folder: _audit(nn.DataParallel(taught(convolutional())), folder),
    )
    yield Row("torch", "torch.compile", _compiled)


def _transformer(name: str) -> nn.Module:
    import transformers

    sizes: dict[str, dict[str, Any]] = {
        "ViT": {
            "image_size": SIDE,
            "patch_size": 4,
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 96,
        },
        "ResNet": {
            "embedding_size": 12,
            "hidden_sizes": [12, 24],
            "depths": [1, 1],
            "layer_type": "basic",
        },
        "ConvNext": {"patch_size": 2, "hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2},
        "Swin": {
            "image_size": SIDE,
            "patch_size": 2,
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "window_size": 4,
        },
    }
    config = getattr(transformers, f"{name}Config")(num_labels=PEOPLE, **sizes[name])
    model = getattr(transformers, f"{name}ForImageClassification")(config)
    return taught(model, lambda answer: answer.logits, steps=250)


def _compiled(folder: Path) -> bool:
    model = torch.compile(taught(convolutional()))
    assert isinstance(model, nn.Module)
    return _audit(model, folder)


def _forms() -> Iterator[Row]:
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        yield Row(
            "torch",
            f"a model in {str(dtype).removeprefix('torch.')}",
            partial(_meet, partial(_in_dtype, dtype)),
        )
    yield Row("torch", "takes bytes", lambda folder: _audit(_Bytes(), folder, "auto"))
    yield Row("torch", "channels last", lambda folder: _audit(_Last(), folder))
    yield Row("torch", "lazy layers", _lazy)


class _Around(nn.Module):
    """A model that knows the people, inside another."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = taught(convolutional())


class _Bytes(_Around):
    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.uint8:
            raise TypeError("give bytes")
        out: Tensor = self.inner(x.float() / 255)
        return out


class _Last(_Around):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x.permute(0, 3, 1, 2))
        return out


def _lazy(folder: Path) -> bool:
    model = nn.Sequential(
        nn.LazyConv2d(12, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(PEOPLE)
    )
    model(torch.zeros(1, *SHAPE))
    torch.save(taught(model).state_dict(), folder / "lazy.pt")
    return audited_from_plan(folder, _LAZY, 'weights = "lazy.pt"')


_LAZY = "nn.Sequential(nn.LazyConv2d(12, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(6))"


def _answers() -> Iterator[Row]:
    class Tuple(_Around):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.inner(x), x.mean((1, 2, 3))

    class Dictionary(_Around):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            logits = self.inner(x)
            return {"out": logits, "label": logits.argmax(1)}

    class Two(_Around):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"a": self.inner(x), "b": -self.inner(x)}

    yield Row("torch", "answers a tuple", lambda folder: _audit(Tuple(), folder))
    yield Row("torch", "answers a dictionary", lambda folder: _audit(Dictionary(), folder))
    yield Row(
        "torch",
        "answers two tensors by name",
        lambda folder: _audit(Two(), folder),
        way="wrap it so that it returns one row of scores an image",
    )
    yield Row(
        "torch",
        "softmax inside, said to be logits",
        lambda folder: _audit(nn.Sequential(taught(convolutional()), nn.Softmax(1)), folder),
        way='set [target] outputs = "probabilities"',
    )


def _without_gradients() -> Iterator[Row]:
    class Without(_Around):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                out: Tensor = self.inner(x)
                return out

    class InPlace(_Around):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(x.sub_(0.0))
            return out

    class Through(_Around):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.inner(torch.from_numpy(x.detach().numpy()))
            return out

    yield Row("torch", "no_grad inside", lambda folder: _audit(Without(), folder))
    yield Row("torch", "NumPy inside", lambda folder: _audit(Through(), folder))
    yield Row("torch", "first layer in place", lambda folder: _audit(InPlace(), folder))


def _no_models() -> Iterator[Row]:
    given: list[tuple[str, Any, str]] = [
        ("None", None, "does the function that builds it return it?"),
        ("a path", "net.pt", "give darkroom.load_target"),
        ("a state dict", {"w": torch.zeros(2)}, "build the module and load them into it"),
        ("the class, not an object", nn.Linear, "give an object, linear(...)"),
        ("a function", len, "write a darkroom.images.targets.base.target around it"),
    ]
    for what, model, way in given:
        yield Row(
            "Python",
            f"{what} for a model",
            partial(_meet, partial(_as_given, model)),
            way=way,
        )
