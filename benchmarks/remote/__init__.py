"""Targets behind servers, measured: speed, and a real MLServer."""
