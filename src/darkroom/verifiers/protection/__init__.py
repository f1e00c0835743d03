"""Protections of stored templates: what is kept in their place, and how that is compared."""
