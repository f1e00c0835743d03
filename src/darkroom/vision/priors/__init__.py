"""What an attacker on images knows before asking."""
