"""Attacks on language models, one file each."""
