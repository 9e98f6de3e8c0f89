"""Weights become an ONNX graph, written operator by operator in standard operators.  Needs no TensorFlow.

onnxruntime fuses what matters by itself (bias + GELU, scaled products): graphs of its own fused operators
(Attention, MultiHeadAttention, SkipLayerNormalization, one packed query-key-value product) measured 1 to 11 % slower
with MiniLM at 16 and 64 tokens, so any ONNX runtime can serve this one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights

OPSET = 20  # the first with Gelu
IR_VERSION = 10
MAX_FILE_BYTES = 2**31 - 2**20  # protobuf refuses 2 GiB; tensors of larger graphs go to a file beside
MASKED = -10_000.0  # finite, so a row of nothing but padding gives numbers; exp(MASKED) is 0 in float32

_ACTIVATIONS = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
}


def build_graph(config: EncoderConfig, weights: Weights, head: str = "pooled") -> onnx.ModelProto:
    """The whole model: `input_ids`, `attention_mask`, `token_type_ids` (B, T) int64 to `logits`, (B, n_labels) or for
    tokens (B, T, n_labels).

    Raises BadCheckpoint: a weight is missing, or an activation or a head is unknown.
    """
    if head not in _HEADS:
        raise BadCheckpoint(f"Unknown head {head!r}; the exporter knows {', '.join(_HEADS)}.")
    graph = _Graph(config, weights)
    write_head, axes = _HEADS[head]
    graph.node("Identity", write_head(graph), output="logits")
    shape = ["batch", "length"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    n_labels = weights["classifier.kernel"].shape[1]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*axes, n_labels])
    body = helper.make_graph(graph.nodes, f"{config.family}_{head}", inputs, [output], list(graph.tensors.values()))
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="retort")


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Write `path`, and for graphs of 2 GiB and more `<path>.data` beside it."""
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=model.ByteSize() > MAX_FILE_BYTES,
        location=f"{path.name}.data",
    )


class _Graph:
    """Nodes in order of computation, tensors by name: each weight is stored once, however many layers share it."""

    def __init__(self, config: EncoderConfig, weights: Weights) -> None:
        self.config, self._weights = config, weights
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Add an operator; returns the name of its output."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def weight(self, name: str) -> str:
        """One of the model's weights."""
        if name not in self._weights:
            raise BadCheckpoint(f"The weights lack {name}, which a {self.config.family} model needs.")
        return self._tensor(name, np.asarray(self._weights[name], np.float32))

    def integers(self, *values: int) -> str:
        """A constant (n,) int64."""
        return self._tensor("_".join(["int", *map(str, values)]), np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant () float32."""
        return self._tensor(f"float_{value!r}", np.array(value, np.float32))

    def vector(self, size: int, value: float) -> str:
        """A constant (size,) float32 of equal numbers."""
        return self._tensor(f"float_{value!r}_x{size}", np.full(size, value, np.float32))

    def _tensor(self, name: str, array: npt.NDArray[np.generic]) -> str:
        if name not in self.tensors:
            self.tensors[name] = numpy_helper.from_array(array, name)
        return name

    def dense(self, x: str, name: str) -> str:
        """x @ kernel + bias."""
        return self.node("Add", self.node("MatMul", x, self.weight(f"{name}.kernel")), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation over the last axis."""
        gamma, beta = self.weight(f"{name}.gamma"), self.weight(f"{name}.beta")
        return self.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=self.config.layer_norm_eps)

    def activation(self, x: str, name: str) -> str:
        """One of `gelu`, `gelu_new`, `relu`, `tanh`."""
        if name not in _ACTIVATIONS:
            raise BadCheckpoint(f"Unknown activation {name!r}; the exporter knows {', '.join(_ACTIVATIONS)}.")
        operator, attributes = _ACTIVATIONS[name]
        return self.node(operator, x, **attributes)


def _pooled(g: _Graph) -> str:
    """Logits (B, n_labels) of what stands for the whole text."""
    if g.config.pooling == "mean":
        pooled = _mean(g, _encoder(g))
    else:
        first = g.node("Squeeze", _encoder(g, only_first=True), g.integers(1))
        pooled = g.activation(g.dense(first, "pooler"), g.config.pooler_activation)
    return g.dense(pooled, "classifier")


def _tokens(g: _Graph) -> str:
    """Logits (B, T, n_labels) of each token; a CRF's emissions are such."""
    return g.dense(_encoder(g), "classifier")


def _mean(g: _Graph, hidden: str) -> str:
    """The mean of the tokens' states (padding left out), normalised to mean 0 and length 1."""
    mask = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.integers(2)), to=TensorProto.FLOAT)
    total = g.node("ReduceSum", g.node("Mul", hidden, mask), g.integers(1), keepdims=0)
    count = g.node("Max", g.node("ReduceSum", mask, g.integers(1), keepdims=0), g.number(1.0))
    size = g.config.hidden_size
    unit = g.vector(size, float(size) ** -0.5)
    mean = g.node("Div", total, count)
    return g.node("LayerNormalization", mean, unit, axis=-1, epsilon=g.config.layer_norm_eps)


def _encoder(g: _Graph, only_first: bool = False) -> str:
    """States (B, T, H); with `only_first` (B, 1, H): of the last layer just what the first token needs."""
    hidden = _embeddings(g)
    mask = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.integers(1, 2)), to=TensorProto.FLOAT)
    bias = g.node("Mul", g.node("Sub", g.number(1.0), mask), g.number(MASKED))
    for layer in range(g.config.n_layers):
        queries = hidden
        if only_first and layer == g.config.n_layers - 1:
            queries = g.node("Slice", hidden, g.integers(0), g.integers(1), g.integers(1))
        hidden = _layer(g, f"layer.{g.config.group_of(layer)}", queries, hidden, bias)
    return hidden


def _embeddings(g: _Graph) -> str:
    words = g.node("Gather", g.weight("embeddings.word"), "input_ids")
    types = g.node("Gather", g.weight("embeddings.token_type"), "token_type_ids")
    length = g.node("Shape", "input_ids", start=1, end=2)
    positions = g.node("Slice", g.weight("embeddings.position"), g.integers(0), length, g.integers(0))
    hidden = g.norm(g.node("Add", g.node("Add", words, types), positions), "embeddings.norm")
    projected = g.config.family == "albert" or g.config.embedding_size != g.config.hidden_size
    return g.dense(hidden, "embeddings.projection") if projected else hidden


def _layer(g: _Graph, name: str, queries: str, hidden: str, bias: str) -> str:
    """One transformer layer: `queries` (B, Q, H) attend to `hidden` (B, T, H)."""
    attended = g.dense(_attention(g, f"{name}.attention", queries, hidden, bias), f"{name}.attention.output")
    x = g.norm(g.node("Add", attended, queries), f"{name}.attention.norm")
    inner = g.activation(g.dense(x, f"{name}.ffn.intermediate"), g.config.activation)
    return g.norm(g.node("Add", g.dense(inner, f"{name}.ffn.output"), x), f"{name}.ffn.norm")


def _attention(g: _Graph, name: str, queries: str, hidden: str, bias: str) -> str:
    n_heads, size = g.config.n_heads, g.config.hidden_size
    head_size = size // n_heads

    def heads(x: str, part: str, perm: list[int]) -> str:
        shape = g.integers(0, -1, n_heads, head_size)  # 0: as in the input
        return g.node("Transpose", g.node("Reshape", g.dense(x, f"{name}.{part}"), shape), perm=perm)

    query, value = heads(queries, "query", [0, 2, 1, 3]), heads(hidden, "value", [0, 2, 1, 3])
    scores = g.node("MatMul", query, heads(hidden, "key", [0, 2, 3, 1]))
    scaled = g.node("Mul", scores, g.number(float(head_size) ** -0.5))
    mixed = g.node("MatMul", g.node("Softmax", g.node("Add", scaled, bias), axis=-1), value)
    return g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), g.integers(0, -1, size))


# How logits are written, and all axes of them but the last.
_HEADS: dict[str, tuple[Callable[[_Graph], str], Sequence[str]]] = {
    "pooled": (_pooled, ["batch"]),
    "tokens": (_tokens, ["batch", "length"]),
    "tokens_crf": (_tokens, ["batch", "length"]),
}
