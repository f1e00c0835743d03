"""Audits of models of tables, measured."""
