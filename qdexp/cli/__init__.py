"""Arguments in, exit code out: the composition root."""
