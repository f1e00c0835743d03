"""How files of networks end, for whoever only reads a plan."""

from __future__ import annotations

PROGRAMS = frozenset([".pt", ".pth", ".pt2", ".ts", ".torchscript"])
"""Suffixes of files that hold a PyTorch model with its code."""
