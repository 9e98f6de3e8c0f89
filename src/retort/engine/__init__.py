"""Runs exported models (no TensorFlow)."""
