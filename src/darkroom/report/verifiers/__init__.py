"""Pages about people enrolled at a verifier of faces."""
