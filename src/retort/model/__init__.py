"""Encoders, heads and checkpoints (TensorFlow)."""
