"""How models of the transformers library read: with kept keys and values, anew, or behind masks."""
