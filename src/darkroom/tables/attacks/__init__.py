"""Attacks on models of tables, one file each."""
