"""Exposure of secrets in bits, and their ranks."""
