"""Pages about real secrets of a corpus."""
