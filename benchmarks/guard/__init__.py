"""The guard, measured."""
