"""From weights to ONNX graphs, and the proof that they agree."""
