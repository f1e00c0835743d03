"""How well attributes are inferred, beside the baselines."""
