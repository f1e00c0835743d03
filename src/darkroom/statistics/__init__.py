"""Intervals, multiplicity, calibration and bounds; no policy."""
