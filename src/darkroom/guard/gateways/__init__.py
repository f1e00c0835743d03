"""Guarding behind a gateway of one's own, which asks whether a request may pass."""
