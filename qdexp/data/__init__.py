"""Clips, autoencoders and the latent cache."""
