"""Faces behind match scores and templates: verifiers, as phones and gates have them."""
