"""Asking somebody else's server: retries, rate limits, bills and secrets."""
