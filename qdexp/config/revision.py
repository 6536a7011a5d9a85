"""The revision of the numbers: part of every trial's identity."""

RESULTS_REVISION = 3
"""Raised whenever the same configuration and seed give other numbers than before."""
