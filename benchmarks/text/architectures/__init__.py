"""Architectures of language models, each against plain ``transformers`` on whole lines."""
