"""Classifiers of images under audit, as an attacker reaches them."""
