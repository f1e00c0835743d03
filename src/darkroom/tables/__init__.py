"""Audits of models of tables: a sensitive attribute inferred for each record."""
