"""Audits of language models: secrets extracted from a model that was trained on them."""
