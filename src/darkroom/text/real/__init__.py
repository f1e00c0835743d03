"""Audits of language models with the real secrets of their owner's own corpus."""
