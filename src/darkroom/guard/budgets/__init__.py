"""Budgets: what a client may ask, charged durably before the model is asked."""
