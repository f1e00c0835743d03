"""Defences: what changes a model's answers before they leave (``outputs``)."""
