"""Use cases over Protocols: what happens to a plan."""
