"""What pages of every kind that recovers pictures of people have in common."""
