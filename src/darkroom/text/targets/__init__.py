"""Language models under audit, as an attacker reaches them."""
