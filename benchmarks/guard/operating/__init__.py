"""What operators meet: hostile clients, servers that are not ours, and a day of changes."""
