"""Targets as plans name them: import paths, files that cannot run code, and servers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from darkroom.access import Access
from darkroom.errors import MissingExtraError
from darkroom.images.targets.base import Target
from darkroom.images.targets.sections import (
    HttpSection,
    HuggingFaceSection,
    OnnxSection,
    OpenInferenceSection,
    PlainJsonSection,
    SklearnSection,
    TargetSection,
    TorchSection,
    TorchServeSection,
)
from darkroom.images.targets.torch import Outputs, TorchTarget
from darkroom.imports import call_import, load_skops
from darkroom.named import Registry
from darkroom.sections import PythonSection
from darkroom.vision.memory import DEFAULT, SHARE
from darkroom.vision.networks.modules import load_module
from darkroom.vision.networks.precision import Precision
from darkroom.vision.spec import ImageSpec

TARGETS: Registry[Target] = Registry("target", Target, group="darkroom.targets")
"""Targets of images from outside; Darkroom's own are kinds of ``[target]``."""


def open_target(
    section: TargetSection,
    *,
    folder: Path | None = None,
    authorized_by: str | None = None,
    ends_with_limit: bool = False,
    memory: int = DEFAULT,
) -> Target:
    """Opens the target that a plan describes.

    Args:
        section: The plan's ``[target]``.
        folder: The plan's, where its modules are looked for.
        authorized_by: Who allowed the audit; needed for a remote target.
        ends_with_limit: See :class:`darkroom.remote.delivery.Delivery`.
        memory: Bytes that the audit may take in all.

    Raises:
        MissingExtraError: If the kind needs a library that is not installed.
        TargetError: If the target cannot be had, or is not what it was declared to be.
    """
    if isinstance(section, TorchSection):
        return load_target(
            section.load,
            section.shape,
            weights=section.weights,
            value_range=section.range,
            outputs=section.outputs,
            device=section.device,
            folder=folder,
            trusted=section.trusted,
            batch=section.batch,
            memory=memory // SHARE,
            precision=section.precision,
        )
    if isinstance(section, SklearnSection):
        return _open_sklearn(section, folder)
    if isinstance(section, OnnxSection):
        return _open_onnx(section)
    if isinstance(section, PythonSection):
        return TARGETS.build(section, folder)
    return _open_http(section, authorized_by or "", ends_with_limit)


def _open_sklearn(section: SklearnSection, folder: Path | None) -> Target:
    found = _needing("darkroom.images.targets.sklearn", "vision")
    name = section.load
    if Path(name).suffix == ".skops":
        estimator, name = load_skops(Path(name), section.trusted), Path(name).name
    else:
        estimator = call_import(name, folder)
    target: Target = found.SklearnTarget(
        estimator,
        section.shape,
        value_range=section.range,
        channels=section.channels,
        name=name,
        batch=section.batch,
    )
    return target


def _open_onnx(section: OnnxSection) -> Target:
    target: Target = _needing("darkroom.images.targets.onnx", "onnx").OnnxTarget(
        section.load,
        section.shape,
        value_range=section.range,
        outputs=section.outputs,
        output=section.output,
        channels=section.channels,
        classes=section.classes,
        batch=section.batch,
    )
    return target


def _open_http(section: HttpSection, authorized_by: str, ends_with_limit: bool) -> Target:
    http = _needing("darkroom.images.targets.http", "http")
    target: Target = http.HttpTarget(
        _wire(section),
        section.shape,
        authorized_by=authorized_by,
        value_range=section.range,
        outputs=section.outputs,
        tolerance=section.tolerance,
        delivery=section.delivery(section.batch, ends_with_limit=ends_with_limit),
        headers=section.headers,
        secret_headers=section.secret_headers(),
        secret_parameters=section.secret_parameters(),
    )
    return target


def _wire(section: HttpSection) -> Any:
    """Returns the wire format of a server."""
    classes = section.classes if isinstance(section.classes, int | None) else (*section.classes,)
    base = _needing("darkroom.wire.base", "http")
    shows = base.Shows(Access(section.answers), classes, section.k)
    spec = ImageSpec.of(section.shape, section.range)
    if isinstance(section, OpenInferenceSection):
        module = _needing("darkroom.images.targets.wire.open_inference", "http")
        keys = {"version", "input", "output", "datatype", "flat", "channels"}
        chosen = section.model_dump(include=keys)
        return module.OpenInference(section.url, section.model, shows=shows, **chosen)
    if isinstance(section, TorchServeSection):
        module = _needing("darkroom.images.targets.wire.torchserve", "http")
        chosen = section.model_dump(include={"version", "channels"})
        return module.TorchServe(section.url, section.model, spec, shows=shows, **chosen)
    if isinstance(section, HuggingFaceSection):
        module = _needing("darkroom.images.targets.wire.hugging_face", "http")
        chosen = section.model_dump(include={"encoding", "channels"})
        return module.HuggingFace(section.url, spec, shows, **chosen)
    assert isinstance(section, PlainJsonSection)
    module = _needing("darkroom.images.targets.wire.plain_json", "http")
    keys = {"inputs", "path", "extra", "encoding", "channels", "one_by_one"}
    return module.PlainJson(section.url, spec, shows=shows, **section.model_dump(include=keys))


def _needing(module: str, extra: str) -> ModuleType:
    """Imports a module of ours that needs an optional library.

    Raises:
        MissingExtraError: If the library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), extra) from error


def load_target(
    load: str,
    shape: Sequence[int],
    *,
    weights: Path | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    outputs: Outputs = "logits",
    device: str = "cpu",
    folder: Path | None = None,
    trusted: bool = False,
    batch: int = 256,
    memory: int = DEFAULT // SHARE,
    precision: Precision = "single",
) -> TorchTarget:
    """Loads a PyTorch model as a target.

    Args:
        load: ``package.module:callable``, where the callable takes nothing and returns a module; or
            a file that ``torch.jit.save`` or ``torch.export.save`` wrote.
        shape: ``(channels, height, width)`` of the images it takes.
        weights: A ``.safetensors`` file, or one of plain tensors as training scripts write it.
        value_range: The values of black and of full intensity.
        outputs: Whether the module returns logits or probabilities.
        device: Where it runs.
        folder: Where to look for the module, beside the working folder and what is installed.
        trusted: Whether code in a file may run.
        batch: The most rows answered at a time.
        memory: Bytes that these may take.
        precision: Whether the module's own passes are in ``half`` precision.

    Raises:
        TargetError: If the import, the call or the weights fail, or the model is not what it was
            declared to be.
    """
    return TorchTarget(
        load_module(load, weights, folder=folder, trusted=trusted),
        shape,
        value_range=value_range,
        outputs=outputs,
        name=load,
        device=device,
        batch=batch,
        memory=memory,
        precision=precision,
    )
