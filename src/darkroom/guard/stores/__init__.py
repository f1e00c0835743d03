"""Where budgets are kept: one file a kind of store, one base."""
