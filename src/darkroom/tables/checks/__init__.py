"""Checks of a model of tables and its rows, before any attack."""
