"""Checks of parts for audits of models of tables."""
