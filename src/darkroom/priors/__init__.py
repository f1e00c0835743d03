"""What an attacker knows before asking."""
