"""Attacks, one file each, named after what they do."""
