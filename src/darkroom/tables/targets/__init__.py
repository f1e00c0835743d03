"""Models of tables under audit, as an attacker reaches them."""
