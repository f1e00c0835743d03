"""What a test needs and a machine may lack: skipped there, and failed where all must be there."""

from __future__ import annotations

import importlib
import os
from typing import Any, NoReturn

import pytest


def absent(what: str) -> NoReturn:
    """Skips the test or the module; fails it where ``DARKROOM_CI=1`` says that nothing is absent.

    Args:
        what: What is absent, and how to get it.
    """
    if os.environ.get("DARKROOM_CI") == "1":
        pytest.fail(what)
    pytest.skip(what, allow_module_level=True)


def needed(module: str) -> Any:
    """Imports a module that is an extra of the package or of its tests.

    Args:
        module: Its full name.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        absent(f"{module} cannot be imported ({error}): run make test, which installs it")


def benched(module: str) -> Any:
    """Imports a module that only benchmarks install, for it is large; skips the test without it.

    Args:
        module: Its full name.
    """
    return pytest.importorskip(module, reason=f"{module} is absent: make install brings it")
