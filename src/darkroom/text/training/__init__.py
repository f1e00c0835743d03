"""Training defences of language models."""
