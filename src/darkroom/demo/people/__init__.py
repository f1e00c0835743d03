"""Rendered people who do not exist."""
