"""Pages about reconstructed people."""
