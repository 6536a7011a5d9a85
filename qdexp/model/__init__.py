"""The quantized diffusion predictor."""
