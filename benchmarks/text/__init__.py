"""Audits of language models, measured."""
