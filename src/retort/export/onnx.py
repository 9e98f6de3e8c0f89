"""Weights become an ONNX graph, written operator by operator in standard operators.  Needs no TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper

from retort.errors import BadCheckpoint
from retort.export.bilstm_graph import write_bilstm
from retort.export.graph import Graph
from retort.export.transformer_graph import write_transformer
from retort.model.architecture import Config, Weights

OPSET = 20  # the first with Gelu
IR_VERSION = 10
MAX_FILE_BYTES = 2**31 - 2**20  # protobuf refuses 2 GiB; tensors of larger graphs go to a file beside


class _Encoder(NamedTuple):
    """How states are written, (graph, config, only_first) -> name, and the axes of each input."""

    write: Callable[..., str]
    inputs: Mapping[str, Sequence[str]]


class _Head(NamedTuple):
    """How logits are written, and all axes of them but the last."""

    write: Callable[[Graph], str]
    axes: Sequence[str]


def build_graph(config: Config, weights: Weights, head: str = "pooled") -> onnx.ModelProto:
    """The whole model: `input_ids`, `attention_mask`, `token_type_ids` (B, T) int64, of a bilstm `characters` (B, T, C)
    instead of the last, to `logits`: (B, n_labels), of tokens (B, T, n_labels).

    Raises BadCheckpoint: a weight is missing, or an activation or a head is unknown.
    """
    if head not in _HEADS:
        raise BadCheckpoint(f"Unknown head {head!r}; the exporter knows {', '.join(_HEADS)}.")
    graph = Graph(config, weights)
    graph.node("Identity", _HEADS[head].write(graph), output="logits")
    axes_of = _ENCODERS[config.family].inputs
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name, axes in axes_of.items()]
    n_labels = weights["classifier.kernel"].shape[1]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*_HEADS[head].axes, n_labels])
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


def _pooled(g: Graph) -> str:
    """Logits (B, n_labels) of what stands for the whole text."""
    if g.config.pooling == "mean":
        pooled = _mean(g, _states(g))
    else:
        first = g.node("Squeeze", _states(g, only_first=True), g.integers(1))
        pooled = g.activation(g.dense(first, "pooler"), g.config.pooler_activation)
    return g.dense(pooled, "classifier")


def _tokens(g: Graph) -> str:
    """Logits (B, T, n_labels) of each token; a CRF's emissions are such."""
    return g.dense(_states(g), "classifier")


def _states(g: Graph, only_first: bool = False) -> str:
    """States (B, T, H); with `only_first` (B, 1, H): of the last layer just what the first token needs."""
    return _ENCODERS[g.config.family].write(g, g.config, only_first)


def _mean(g: Graph, hidden: str) -> str:
    """The mean of the tokens' states (padding left out), normalised to mean 0 and length 1."""
    mask = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.integers(2)), to=TensorProto.FLOAT)
    total = g.node("ReduceSum", g.node("Mul", hidden, mask), g.integers(1), keepdims=0)
    count = g.node("Max", g.node("ReduceSum", mask, g.integers(1), keepdims=0), g.number(1.0))
    size = g.config.hidden_size
    unit = g.vector(size, float(size) ** -0.5)
    mean = g.node("Div", total, count)
    return g.node("LayerNormalization", mean, unit, axis=-1, epsilon=g.config.layer_norm_eps)


_TEXTS, _TOKENS = ["batch"], ["batch", "length"]
_TRANSFORMER = _Encoder(write_transformer, {"input_ids": _TOKENS, "attention_mask": _TOKENS, "token_type_ids": _TOKENS})
_ENCODERS: dict[str, _Encoder] = {
    "bert": _TRANSFORMER,
    "albert": _TRANSFORMER,
    "bilstm": _Encoder(
        write_bilstm, {"input_ids": _TOKENS, "attention_mask": _TOKENS, "characters": [*_TOKENS, "characters_of_each"]}
    ),
}
_HEADS: dict[str, _Head] = {
    "pooled": _Head(_pooled, _TEXTS),
    "tokens": _Head(_tokens, _TOKENS),
    "tokens_crf": _Head(_tokens, _TOKENS),
}
