"""Checks of a language model and its canaries, before any attack."""
