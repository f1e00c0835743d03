"""Audits that outgrow one process: how fast workers are, and that no crash changes a result."""
