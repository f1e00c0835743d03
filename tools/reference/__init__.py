"""Pages of the reference, written from the code that they describe."""
