"""Turns a finished run into what people read: ``results.json`` and ``report.html``."""

from __future__ import annotations

from darkroom.report.html import write_report
from darkroom.report.results import collect, load_schema, write_results

__all__ = ["collect", "load_schema", "write_report", "write_results"]
