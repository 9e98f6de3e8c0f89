"""Real texts run through a float32 graph, and what its tensors hold then becomes their ranges."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper

from retort.export.onnx import save_graph
from retort.tasks.base import Floats
from retort.tokenization.batch import collate
from retort.tokenization.encoding import Encoding

N_AT_ONCE = 32  # texts of one batch: every tensor of interest is in memory for all of them


@dataclass(frozen=True, slots=True)
class Range:
    """The smallest and largest value seen in each channel (C,), the last axis of a tensor (B, T, C)."""

    low: Floats
    high: Floats


def find_ranges(model: onnx.ModelProto, tensors: Sequence[str], encodings: Sequence[Encoding]) -> dict[str, Range]:
    """The range of each of `tensors`, (B, T, C) float32 within the graph, over at least one encoding.

    Only texts of one length share a batch, so what padding would give is in no range.
    """
    found: dict[str, Range] = {}
    request, inputs = _open(model, tensors), [each.name for each in model.graph.input]
    by_length: dict[int, list[Encoding]] = {}
    for encoding in encodings:
        by_length.setdefault(len(encoding), []).append(encoding)
    for same in by_length.values():
        for start in range(0, len(same), N_AT_ONCE):
            batch = collate(same[start : start + N_AT_ONCE], pad_id=0)
            request.infer({name: getattr(batch, name) for name in inputs})
            for name in tensors:
                values = request.get_tensor(name).data
                low, high = values.min(axis=(0, 1)), values.max(axis=(0, 1))
                if name in found:
                    low, high = np.minimum(low, found[name].low), np.maximum(high, found[name].high)
                found[name] = Range(low, high)
    return found


def _open(model: onnx.ModelProto, tensors: Sequence[str]) -> openvino.InferRequest:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    exposed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "exposed.onnx"
        save_graph(exposed, file)
        core = openvino.Core()
        options = {"INFERENCE_PRECISION_HINT": openvino.Type.f32}
        return core.compile_model(core.read_model(file), "CPU", options).create_infer_request()
