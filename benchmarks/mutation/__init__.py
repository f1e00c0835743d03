"""Whether tests notice when the code that they test is changed."""
