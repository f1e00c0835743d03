"""Several runs together: what ran and what runs, and one run against another."""
