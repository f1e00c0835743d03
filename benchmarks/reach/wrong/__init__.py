"""What people do wrong: newcomers' mistakes, and wrong inputs to all commands."""
