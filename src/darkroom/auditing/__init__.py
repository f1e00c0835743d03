"""What audits of every kind share: plans, the runner, the store, the record of a cell, progress."""
