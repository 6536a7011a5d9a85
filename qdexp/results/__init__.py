"""Outcomes, their provenance, and the ledger that keeps them."""
