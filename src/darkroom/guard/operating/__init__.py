"""What operators do with a guard's ledger and log: look, open budgets on purpose, replay."""
