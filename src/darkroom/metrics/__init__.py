"""Judges, image measures and intervals: what tells whether an attack succeeded."""
