"""Pages about extracted secrets."""
