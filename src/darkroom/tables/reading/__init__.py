"""Tables from files, and data frames of other libraries."""
