"""Bodies in forms that several formats share: tables of pandas, and forms with files."""
