"""The guard, measured: budgets that hold, speed, and what its detector notices."""
