"""Darkroom: audit your own models for model inversion, and defend them.

The names here are loaded when they are first used, so that importing a small part of the package,
such as an output defence, does not import PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.access import Access as Access
    from darkroom.api import audit as audit
    from darkroom.api import audit_table as audit_table
    from darkroom.api import audit_text as audit_text
    from darkroom.api import audit_verifier as audit_verifier
    from darkroom.errors import DarkroomError as DarkroomError
    from darkroom.images.targets.load import load_target as load_target
    from darkroom.images.targets.torch import TorchTarget as TorchTarget
    from darkroom.runs import Run as Run
    from darkroom.runs import audit_plan as audit_plan
    from darkroom.runs import check_plan as check_plan
    from darkroom.runs import open_run as open_run

__all__ = [
    "Access",
    "DarkroomError",
    "Run",
    "TorchTarget",
    "audit",
    "audit_plan",
    "audit_table",
    "audit_text",
    "audit_verifier",
    "check_plan",
    "load_target",
    "open_run",
]

_HOMES = {
    "Access": "access",
    "DarkroomError": "errors",
    "Run": "runs",
    "TorchTarget": "images.targets.torch",
    "audit": "api",
    "audit_plan": "runs",
    "check_plan": "runs",
    "audit_table": "api",
    "audit_text": "api",
    "audit_verifier": "api",
    "open_run": "runs",
    "load_target": "images.targets.load",
}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"darkroom.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'darkroom' has no attribute {name!r}")
