"""What the guard tells its owner of each request: a record, metrics, and an audit log."""
