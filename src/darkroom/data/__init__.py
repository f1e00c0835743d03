"""Photos: rendered employees, folders, and files."""
