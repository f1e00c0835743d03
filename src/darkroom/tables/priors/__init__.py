"""What an attacker on tables knows before asking."""
