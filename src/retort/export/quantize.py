"""A float32 ONNX file becomes one with 8-bit weights; activations are quantised as they come (dynamically)."""

import logging
import warnings
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

_OPERATORS = ["MatMul", "Gather"]  # products with weights, and the word embeddings: all that is large


def quantize(source: Path, target: Path) -> None:
    """Write `target`, about a quarter of `source` in size.

    Weights have a scale per output channel and use 7 of their 8 bits: processors without VNNI add pairs of products
    in 16 bits, which overflow otherwise, and a model must answer the same wherever it is served.
    """
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises shape inference, which these graphs do not need
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=_OPERATORS,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.disable(disabled)
