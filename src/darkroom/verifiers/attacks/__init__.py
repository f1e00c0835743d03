"""Attacks on verifiers: they see answers and public photos, and no photo of whom they attack."""
