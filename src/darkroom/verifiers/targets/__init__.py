"""Verifiers of faces: what turns photos into templates, and what compares them."""
