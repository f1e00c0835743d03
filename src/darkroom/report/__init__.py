"""Turns a finished run into what people read: ``results.json`` and ``report.html``.

The names here are loaded when they are first used: what a guard's clients have spent is told
without the libraries that pages need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.report.html import write_report as write_report
    from darkroom.report.results import collect as collect
    from darkroom.report.results import load_schema as load_schema
    from darkroom.report.results import write_results as write_results

__all__ = ["collect", "load_schema", "write_report", "write_results"]


def __getattr__(name: str) -> Any:
    """Imports a public name from its module on first use."""
    if name == "write_report":
        from darkroom.report.html import write_report

        return write_report
    if name in __all__:
        from darkroom.report import results

        return getattr(results, name)
    raise AttributeError(f"module 'darkroom.report' has no attribute {name!r}")
