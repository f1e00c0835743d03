"""Watching a face emerge: live attacks on people, and the page that shows them."""
