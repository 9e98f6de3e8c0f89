"""A bilstm, operator by operator.

ONNX's LSTM can read backwards and be told lengths, but OpenVINO does not heed these; so it reads forwards twice, the
second time over rows that were turned round, and what stands behind their ends comes too late to matter.
"""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from retort.export.graph import Graph
from retort.model.architecture import BilstmConfig
from retort.tasks.base import Floats


def write_bilstm(g: Graph, config: BilstmConfig, only_first: bool = False) -> str:
    """States (B, T, H), 0 where padding is; with `only_first` (B, 1, H)."""
    words = g.node("Gather", g.weight("embeddings.word"), "input_ids")
    x = g.node("Concat", words, _spell(g, config), axis=-1)
    lengths = g.node("ReduceSum", "attention_mask", g.integers(1), keepdims=0)
    mask = g.node("Cast", g.node("Unsqueeze", "attention_mask", g.integers(2)), to=TensorProto.FLOAT)
    for layer in range(config.n_layers):
        x = g.node("Mul", _read_both_ways(g, config, f"lstm.{layer}", x, lengths), mask)
    return g.node("Slice", x, g.integers(0), g.integers(1), g.integers(1)) if only_first else x


def _spell(g: Graph, config: BilstmConfig) -> str:
    """What is most of each pattern of three characters of a token, (B, T, F)."""
    flat = g.node("Reshape", "characters", g.integers(-1, config.n_characters))
    present = g.node("Cast", g.node("Greater", flat, g.integers(0)), to=TensorProto.FLOAT)
    present = g.node("Unsqueeze", present, g.integers(1))  # (N, 1, C)
    embedded = g.node("Transpose", g.node("Gather", g.weight("embeddings.character"), flat), perm=[0, 2, 1])
    kernel = g.weight_as("channels_first", "characters.kernel", lambda w: w.transpose(2, 1, 0))
    side = config.character_width // 2
    shifted = g.node("Conv", g.node("Mul", embedded, present), kernel, g.weight("characters.bias"), pads=[side, side])
    found = g.node("ReduceMax", g.node("Mul", g.node("Relu", shifted), present), g.integers(2), keepdims=0)
    shape = g.node("Concat", g.node("Shape", "input_ids"), g.integers(config.n_filters), axis=0)
    return g.node("Reshape", found, shape)


def _read_both_ways(g: Graph, config: BilstmConfig, name: str, x: str, lengths: str) -> str:
    """(B, T, I) becomes (B, T, H)."""
    forwards = _read(g, config, name, g.node("Transpose", x, perm=[1, 0, 2]), 0)
    turned = g.node("ReverseSequence", x, lengths, batch_axis=0, time_axis=1)
    backwards = _read(g, config, name, g.node("Transpose", turned, perm=[1, 0, 2]), 1)
    again = g.node("ReverseSequence", backwards, lengths, batch_axis=0, time_axis=1)
    return g.node("Concat", forwards, again, axis=-1)


def _read(g: Graph, config: BilstmConfig, name: str, steps: str, direction: int) -> str:
    """Steps (T, B, I) become states (B, T, U)."""
    way = ("forwards", "backwards")[direction]

    def weight(part: str, change: Callable[[Floats], Floats]) -> str:
        return g.weight_as(way, f"{name}.{part}", lambda w: change(w[direction])[None])

    kernel, recurrent = weight("kernel", np.transpose), weight("recurrent", np.transpose)
    bias = weight("bias", lambda w: np.concatenate([w, np.zeros_like(w)]))  # ONNX has one for each of the two
    states = g.node("LSTM", steps, kernel, recurrent, bias, hidden_size=config.n_units)
    return g.node("Transpose", g.node("Squeeze", states, g.integers(1)), perm=[1, 0, 2])
