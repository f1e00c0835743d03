"""The lab: a local page where one watches what an attack recovers, and turns the knobs."""
