"""Plans, cells, the runner and the store: attacks run and judged, kept on disk.

The package can be called: ``darkroom.audit(model, private, ...)`` is :func:`darkroom.api.audit`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """Lets one word be both the package of audits and the function that runs one."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        # By name, because the interface stands in a layer above this one.
        return importlib.import_module("darkroom.api").audit(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
