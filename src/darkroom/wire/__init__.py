"""JSON of servers and their answers, for targets and the guard alike."""
