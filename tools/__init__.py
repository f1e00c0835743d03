"""What keeps the documentation true: its generated pages, its site, its examples."""
