"""One question: its factors, conditions, trials and plan."""
