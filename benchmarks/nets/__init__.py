"""How much of people comes out of ten ordinary networks, to whoever has the weights."""
