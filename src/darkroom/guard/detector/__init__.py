"""Notices traffic that looks like model inversion."""
