"""What is measured on a trained predictor."""
