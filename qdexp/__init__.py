"""Ablations of a quantized video diffusion model whose verdicts carry their uncertainty."""
