"""Requests and answers as HTTP has them, and asking the server behind the guard."""
