"""The house itself: how fast it starts, how long its tests take, and what is shipped."""
