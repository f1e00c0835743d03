"""Judges of reconstructions: they have no part in the attack or the target."""
