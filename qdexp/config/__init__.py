"""One typed configuration of one training run, the presets, the metrics."""
