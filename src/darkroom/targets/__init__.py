"""Models under audit, as an attacker reaches them."""
