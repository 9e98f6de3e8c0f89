"""Text becomes encodings, encodings become batches."""
