"""What the project says of its lab: how soon it is there, how live it is, and what it costs."""
