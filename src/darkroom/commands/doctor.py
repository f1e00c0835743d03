"""``darkroom doctor``: what is installed, and what is missing for which feature."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated, NamedTuple

import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

doctor = typer.Typer()

FEATURES = {
    "audit": "the commands of audits, and their reports",
    "vision": "photos, judges, attacks on images; needed by most of the rest",
    "dicom": "scans in DICOM",
    "heic": "photos in HEIC",
    "faces": "the recogniser of face_recognition, by dlib",
    "tables": "tables and models of them",
    "text": "language models, canaries and real secrets",
    "finding": "finding names and addresses in a corpus",
    "adapters": "LoRA and other adapters, quantised models",
    "dp": "training with differential privacy",
    "rl": "the attack by reinforcement learning",
    "onnx": "models in ONNX",
    "ray": "cells as tasks of a Ray cluster",
    "http": "models behind an API",
    "lab": "the local page where attacks are watched",
    "guard": "the guard in front of a model",
    "redis": "the guard's budgets in Redis",
    "postgres": "the guard's budgets in PostgreSQL",
    "opentelemetry": "the guard's spans and metrics",
}
"""What each extra is for, in the order of the table."""


class Feature(NamedTuple):
    """An extra, and what is wanting for it.

    Attributes:
        name: The extra.
        purpose: What it is for.
        wanting: A sentence for each library that is missing or too old; empty when all is there.
    """

    name: str
    purpose: str
    wanting: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """The command that brings what is wanting, or nothing."""
        return f"pip install 'darkroom[{self.name}]'" if self.wanting else ""


def features() -> list[Feature]:
    """Looks at what is installed, in the order of :data:`FEATURES`, and imports none of it."""
    return [
        Feature(name, purpose, tuple(dict.fromkeys(_wanting(name))))
        for name, purpose in FEATURES.items()
    ]


def _wanting(extra: str) -> Iterator[str]:
    """Yields a sentence for each library that an extra wants and that is not right."""
    for line in metadata.requires("darkroom") or ():
        one = Requirement(line)
        if one.marker is None or not one.marker.evaluate({"extra": extra}):
            continue
        if one.marker.evaluate({"extra": ""}):
            continue  # darkroom itself would not run without it
        if canonicalize_name(one.name) == "darkroom":
            for further in sorted(one.extras):
                yield from _wanting(further)
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            yield f"{one.name} is missing"
            continue
        if not one.specifier.contains(version, prereleases=True):
            yield f"{one.name} is {version}, wanted {one.specifier}"


def machine() -> dict[str, str]:
    """Says what darkroom runs on, by name: versions, processors, accelerators."""
    found = {
        "darkroom": metadata.version("darkroom"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count() or 1),
    }
    try:
        import torch
    except ImportError:
        return found
    found["torch"] = torch.__version__
    devices = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("Apple GPU (mps)")
    found["accelerators"] = ", ".join(devices) or "none"
    return found


@doctor.command(name="doctor", epilog="Example: darkroom doctor")
def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what is installed, what is missing, and for which feature."""
    found, parts = machine(), features()
    if as_json:
        listed = [{**one._asdict(), "remedy": one.remedy} for one in parts]
        typer.echo(json.dumps({"machine": found, "features": listed}, indent=2))
        return
    typer.echo(", ".join(f"{name} {value}" for name, value in found.items()))
    for one in parts:
        typer.echo(f"{'ok' if not one.wanting else '--'}  {one.name:<9} {one.purpose}")
        for sentence in one.wanting:
            typer.echo(f"    {'':<9} {sentence}")
        if one.wanting:
            typer.echo(f"    {'':<9} {one.remedy}")
