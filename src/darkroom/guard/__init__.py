"""The guard: budgets and output defences in front of a model; imports no PyTorch."""
