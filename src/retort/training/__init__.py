"""From rows to a trained, measured model (TensorFlow)."""
