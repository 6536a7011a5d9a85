"""The training of one trial, from configuration to outcome."""
