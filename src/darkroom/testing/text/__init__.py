"""Checks of parts for audits of language models."""
