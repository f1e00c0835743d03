"""Formats of secrets: what an attacker knows of a secret before asking."""
