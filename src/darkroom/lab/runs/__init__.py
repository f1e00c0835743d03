"""All runs of a folder: what they came to, their curves, and two side by side."""
