"""An ONNX graph as it is written: operators one by one, and each weight once.  Knows no architecture."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from retort.errors import BadCheckpoint
from retort.model.architecture import Config, Weights
from retort.tasks.base import Floats

_ACTIVATIONS = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
}


class Graph:
    """Nodes in order of computation, tensors by name: each weight is stored once, however many layers share it."""

    def __init__(self, config: Config, weights: Weights) -> None:
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
        return self.constant(name, np.asarray(self._weights[name], np.float32))

    def weight_as(self, layout: str, name: str, change: Callable[[Floats], Floats]) -> str:
        """One of the model's weights in another layout, which the tensor's name says."""
        if name not in self._weights:
            return self.weight(name)
        return self.constant(f"{name}/{layout}", np.ascontiguousarray(change(self._weights[name]), np.float32))

    def integers(self, *values: int) -> str:
        """A constant (n,) int64."""
        return self.constant("_".join(["int", *map(str, values)]), np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant () float32."""
        return self.constant(f"float_{value!r}", np.array(value, np.float32))

    def vector(self, size: int, value: float) -> str:
        """A constant (size,) float32 of equal numbers."""
        return self.constant(f"float_{value!r}_x{size}", np.full(size, value, np.float32))

    def constant(self, name: str, array: npt.NDArray[np.generic]) -> str:
        """A constant, stored once under its name."""
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
