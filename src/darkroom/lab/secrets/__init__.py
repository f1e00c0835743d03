"""Watching a search for a secret grow, in a language model that learned it more or less often."""
