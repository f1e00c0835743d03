"""Training defences of models of tables."""
