"""Quantizers: one interface, one file for each kind."""
