"""A float32 ONNX file becomes one whose large products are computed in 8 bits, in standard operators.

Scales are fixed when the file is written, from texts that were run through the float32 graph: an answer depends neither
on the texts beside it in a batch, nor on padding.  Weights have a scale per output channel; activations have one per
tensor, after each channel was divided by a factor that its row of the weights takes over (SmoothQuant,
arXiv:2211.10438), because some channels of a transformer are a hundred times larger than others.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from retort.export.calibration import Range, find_ranges
from retort.export.onnx import save_graph
from retort.tasks.base import Floats
from retort.tokenization.encoding import Encoding

MAX_CALIBRATION = 512  # texts; ranges hardly grow beyond
MIGRATION = 0.9  # which share of the channels' differences goes over to the weights: 0.5 and 1 keep fewer decisions
FLOAT_HEADS = ("pooler.", "classifier.")  # one row a text: nothing to gain, and decisions to lose
WORDS = "embeddings.word"
_TINY = 1e-6  # instead of 0, where something divides by a range

Octets = npt.NDArray[np.int8]


def quantize(source: Path, target: Path, encodings: Sequence[Encoding]) -> None:
    """Write `target`, about a quarter of `source` in size.  `encodings`, at least one, are such as it will serve."""
    model = onnx.load(source)
    products = _products(model.graph)
    tensors = list(dict.fromkeys(product.input[0] for product in products))
    ranges = find_ranges(model, tensors, _spread(encodings)) if tensors else {}  # a bilstm's LSTMs stay as they are
    rewrite = _Rewrite(model.graph, products, ranges)
    rewrite.apply()
    save_graph(model, target)


def _spread(encodings: Sequence[Encoding]) -> list[Encoding]:
    """At most `MAX_CALIBRATION` of them, from all over: files are often sorted by label."""
    n = min(len(encodings), MAX_CALIBRATION)
    return [encodings[i * len(encodings) // n] for i in range(n)]


def _products(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The products of activations with weights, other than in the heads."""
    stored = {tensor.name for tensor in graph.initializer}
    return [
        node
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in stored and not node.input[1].startswith(FLOAT_HEADS)
    ]


def group_products(products: Sequence[onnx.NodeProto]) -> list[tuple[set[str], set[str]]]:
    """Activations and kernels that must share their factors: queries, keys and values read one activation, and layers
    that share weights (ALBERT's) read several through one kernel."""
    groups: list[tuple[set[str], set[str]]] = []
    for product in products:
        activations, kernels = {product.input[0]}, {product.input[1]}
        for group in [g for g in groups if g[0] & activations or g[1] & kernels]:
            groups.remove(group)
            activations, kernels = activations | group[0], kernels | group[1]
        groups.append((activations, kernels))
    return groups


def smoothing(seen: Range, kernels: Sequence[Floats]) -> Floats:
    """Factors (C,) by which each channel of an activation is divided, and its row of every kernel (C, n) multiplied."""
    activation = np.maximum(np.maximum(np.abs(seen.low), np.abs(seen.high)), _TINY)
    weight = np.maximum(np.max([np.abs(kernel).max(axis=1) for kernel in kernels], axis=0), _TINY)
    factors = activation**MIGRATION / weight ** (1 - MIGRATION)
    factors /= np.median(factors)
    return np.asarray(np.clip(factors, 0.01, 100), np.float32)  # a channel that was silent here may speak later


def activation_scale(low: float, high: float) -> tuple[float, int]:
    """Step and zero point of unsigned 8 bits that hold [low, high] and 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, _TINY) / 255
    return scale, round(-low / scale)


def quantize_channels(weights: Floats, axis: int) -> tuple[Octets, Floats]:
    """Signed 8 bits and the scale of each channel along `axis`, symmetric about 0."""
    other = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.maximum(np.abs(weights).max(axis=other, keepdims=True), _TINY) / 127
    return np.round(weights / scales).astype(np.int8), scales.squeeze(other).astype(np.float32)


class _Rewrite:
    """A graph that is written anew, node by node."""

    def __init__(self, graph: onnx.GraphProto, products: list[onnx.NodeProto], ranges: dict[str, Range]) -> None:
        self._graph, self._ranges = graph, ranges
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._products = {product.output[0] for product in products}
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._done: set[str] = set()  # what already has its 8-bit form
        self._factors: dict[str, Floats] = {}  # of activations and of kernels
        for activations, kernels in group_products(products):
            low = np.min([ranges[name].low for name in activations], axis=0)
            high = np.max([ranges[name].high for name in activations], axis=0)
            factors = smoothing(Range(low, high), [self._weight(name) for name in kernels])
            self._factors |= dict.fromkeys(activations | kernels, factors)

    def apply(self) -> None:
        """Change the graph."""
        for node in self._graph.node:
            if node.op_type == "Gather" and node.input[0] == WORDS:
                self._look_up(node)
            elif node.output[0] in self._products:
                self._multiply(node)
            else:
                self._nodes.append(node)
        used = {name for node in self._nodes for name in node.input}
        tensors = [tensor for name, tensor in (self._weights | self._tensors).items() if name in used]
        body = helper.make_graph(self._nodes, self._graph.name, self._graph.input, self._graph.output, tensors)
        self._graph.CopyFrom(body)

    def _multiply(self, product: onnx.NodeProto) -> None:
        activation, kernel = product.input
        if activation not in self._done:
            self._quantize_activation(activation)
        if kernel not in self._done:
            self._quantize_kernel(kernel)
        self._done |= {activation, kernel}
        self._node("MatMul", [f"{activation}/restored", f"{kernel}/restored"], product.output[0])

    def _quantize_kernel(self, name: str) -> None:
        octets, scales = quantize_channels(self._weight(name) * self._factors[name][:, None], axis=1)
        inputs = [self._tensor(f"{name}/int8", octets), self._tensor(f"{name}/scale", scales)]
        self._node("DequantizeLinear", inputs, f"{name}/restored", axis=1)

    def _quantize_activation(self, name: str) -> None:
        seen, factors = self._ranges[name], self._factors[name]
        scale, zero = activation_scale(float((seen.low / factors).min()), float((seen.high / factors).max()))
        step = [self._tensor(f"{name}/scale", np.float32(scale)), self._tensor(f"{name}/zero", np.uint8(zero))]
        self._node("Mul", [name, self._tensor(f"{name}/factors", 1 / factors)], f"{name}/smooth")
        self._node("QuantizeLinear", [f"{name}/smooth", *step], f"{name}/uint8")
        self._node("DequantizeLinear", [f"{name}/uint8", *step], f"{name}/restored")

    def _look_up(self, gather: onnx.NodeProto) -> None:
        """The rows of a text's words are restored, each with its own scale, rather than the whole table."""
        rows, scales = quantize_channels(self._weight(WORDS), axis=0)
        ids = gather.input[1]
        self._node("Gather", [self._tensor(f"{WORDS}/int8", rows), ids], f"{WORDS}/rows")
        self._node("Cast", [f"{WORDS}/rows"], f"{WORDS}/numbers", to=TensorProto.FLOAT)
        self._node("Gather", [self._tensor(f"{WORDS}/scale", scales[:, None]), ids], f"{WORDS}/scales")
        self._node("Mul", [f"{WORDS}/numbers", f"{WORDS}/scales"], gather.output[0])

    def _node(self, operator: str, inputs: Sequence[str], output: str, **attributes: object) -> None:
        self._nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))

    def _weight(self, name: str) -> Floats:
        return np.asarray(numpy_helper.to_array(self._weights[name]), np.float32)

    def _tensor(self, name: str, array: npt.NDArray[np.generic] | np.generic) -> str:
        self._tensors[name] = numpy_helper.from_array(np.asarray(array), name)
        return name
