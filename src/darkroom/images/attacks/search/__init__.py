"""What several attacks on images search with."""
