"""Pages about inferred attributes."""
