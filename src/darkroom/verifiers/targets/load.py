"""Encoders and servers of faces as plans name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from darkroom.errors import MissingExtraError, TargetError
from darkroom.imports import call_import
from darkroom.verifiers.targets.base import Encoder
from darkroom.verifiers.targets.encoders import FunctionEncoder, TorchEncoder
from darkroom.verifiers.targets.sections import LIBRARY, EncoderSection, ServedFacesSection
from darkroom.vision.memory import DEFAULT, SHARE
from darkroom.vision.networks.checkpoints import load_weights
from darkroom.vision.networks.modules import load_module
from darkroom.vision.networks.precision import Precision
from darkroom.vision.networks.suffixes import PROGRAMS
from darkroom.vision.spec import ImageSpec

# What servers are asked with is installed only where one is asked.
if TYPE_CHECKING:
    from darkroom.remote.connection import Connection
    from darkroom.verifiers.targets.http import HttpVerifier
    from darkroom.verifiers.targets.wire import FaceWire


def open_encoder(
    section: EncoderSection | ServedFacesSection,
    spec: ImageSpec,
    *,
    folder: Path | None = None,
    authorized_by: str | None = None,
    memory: int = DEFAULT,
) -> Encoder:
    """Opens the encoder that a plan describes.

    Args:
        section: The plan's ``[target]``; a server is one that answers templates.
        spec: The images it takes.
        folder: The plan's, where its modules are looked for.
        authorized_by: Who allowed the audit; needed for a server.
        memory: Bytes that the audit may take in all.

    Raises:
        MissingExtraError: If it needs a library that is not installed.
        TargetError: If it cannot be had, or is not what it was declared to be.
    """
    if isinstance(section, ServedFacesSection):
        wire, connection = _connected(section, spec, authorized_by, ends_with_limit=False)
        from darkroom.verifiers.targets.http import HttpEncoder

        return HttpEncoder(wire, connection)
    own = section.load == LIBRARY or Path(section.load).suffix == ".onnx"
    if own and section.precision != "single":
        raise _no_module(section.load)
    if section.load == LIBRARY:
        return _open_library(section, spec)
    if Path(section.load).suffix == ".onnx":
        return _open_onnx(section, spec)
    if Path(section.load).suffix in PROGRAMS:
        model: object = load_module(section.load, trusted=section.trusted)
    else:
        model = call_import(section.load, folder)
    if isinstance(model, nn.Module) and section.weights is not None:
        load_weights(model, section.weights)
    return as_encoder(
        model,
        spec,
        name=section.load,
        device=section.device,
        batch=section.batch,
        memory=memory // SHARE,
        precision=section.precision,
    )


def open_verifier(
    section: ServedFacesSection,
    spec: ImageSpec,
    names: Sequence[str],
    *,
    authorized_by: str | None,
    ends_with_limit: bool = False,
) -> HttpVerifier:
    """Opens a server that compares photos with people whom its owner enrolled.

    Args:
        section: The plan's ``[target]`` or ``[guarded]``.
        spec: The images it takes.
        names: Of the people, as their folders have them.
        authorized_by: Who allowed the audit.
        ends_with_limit: See :class:`darkroom.remote.delivery.Delivery`.

    Raises:
        MissingExtraError: If what servers are asked with is not installed.
        TargetError: If nobody allowed it, or the address is none.
    """
    wire, connection = _connected(section, spec, authorized_by, ends_with_limit=ends_with_limit)
    from darkroom.verifiers.targets.http import HttpVerifier, ids_of

    ids = ids_of(names, section.ids)
    return HttpVerifier(wire, connection, ids, section.compared)


def _connected(
    section: ServedFacesSection,
    spec: ImageSpec,
    authorized_by: str | None,
    *,
    ends_with_limit: bool,
) -> tuple[FaceWire, Connection]:
    """Returns how a server is asked, and the connection to it.

    Raises:
        MissingExtraError: If what servers are asked with is not installed.
    """
    try:
        from darkroom.verifiers.targets.http import connected
        from darkroom.verifiers.targets.wire import FaceWire
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "http") from error
    keys = {"answers", "photo", "person", "path", "encoding", "channels", "accepts", "no_face"}
    chosen = section.model_dump(include=keys)
    form = section.protocol == "multipart"
    wire = FaceWire(section.url, spec, form=form, extra=section.extra, **chosen)
    connection = connected(
        wire,
        authorized_by=authorized_by or "",
        delivery=section.delivery(section.batch, ends_with_limit=ends_with_limit),
        headers=section.headers,
        secret_headers=section.secret_headers(),
        secret_parameters=section.secret_parameters(),
    )
    return wire, connection


def as_encoder(
    model: object,
    spec: ImageSpec,
    *,
    name: str | None = None,
    device: str = "cpu",
    batch: int = 256,
    memory: int = DEFAULT // SHARE,
    precision: Precision = "single",
) -> Encoder:
    """Returns an encoder for what is there already.

    Args:
        model: An encoder, which stays as it is; a PyTorch module; or a function.
        spec: The images it takes.
        name: What reports call it; its type's or function's name unless told.
        device: Where a module runs.
        batch: The most rows answered at a time.
        memory: Bytes that a module's rows may take.
        precision: Whether a module's own passes are in ``half`` precision.

    Raises:
        TargetError: If it is none of these, or answers no templates.
    """
    if isinstance(model, Encoder):
        return model
    called = name or str(getattr(model, "__name__", type(model).__name__))
    if precision != "single" and not isinstance(model, nn.Module):
        raise _no_module(called)
    if isinstance(model, nn.Module):
        return TorchEncoder(
            model,
            spec,
            name=called,
            device=device,
            batch=batch,
            memory=memory,
            precision=precision,
        )
    if callable(model):
        return FunctionEncoder(model, spec, name=called, batch=batch)
    raise TargetError(
        f"{called}: this is a {type(model).__name__}: give a torch.nn.Module, or a function from "
        "images to templates"
    )


def _no_module(name: str) -> TargetError:
    return TargetError(
        f"{name}: this is no torch.nn.Module, whose passes could be in half precision: remove "
        "[target] precision"
    )


def _open_library(section: EncoderSection, spec: ImageSpec) -> Encoder:
    try:
        from darkroom.verifiers.targets.dlib import DlibEncoder
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "faces") from error
    return DlibEncoder(spec, detect=section.detect)


def _open_onnx(section: EncoderSection, spec: ImageSpec) -> Encoder:
    try:
        from darkroom.verifiers.targets.onnx import OnnxEncoder
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "onnx") from error
    return OnnxEncoder(Path(section.load), spec, batch=section.batch)
