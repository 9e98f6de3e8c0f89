"""Predictions become the outputs of the Open Inference Protocol, as JSON or binary.

`label` (BYTES) and `probability` (FP32) have shape [N]; where a text may have several labels [N, most labels of one],
filled up with "" and 0.
"""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from retort.api.infer_request import BinarySize
from retort.api.tensors import pack_floats, pack_texts
from retort.tasks.base import Prediction

DATATYPES = {"label": "BYTES", "probability": "FP32"}


class OutputTensor(BaseModel):
    """One output; a binary one has its size in `parameters` instead of `data`."""

    name: str
    datatype: str
    shape: list[int]
    data: list[str | float] | None = None
    parameters: BinarySize | None = None


class InferResponse(BaseModel):
    """The answer; binary outputs follow it in the order of `outputs`."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


def build_outputs(
    predictions: Sequence[Prediction], wanted: Sequence[tuple[str, bool]]
) -> tuple[list[dict[str, Any]], bytes]:
    """The outputs, and the bytes of those that are wanted binary."""
    outputs, follows = [], b""
    for name, is_binary in wanted:
        shape, data = _tensor(name, predictions)
        output: dict[str, Any] = {"name": name, "datatype": DATATYPES[name], "shape": shape}
        if is_binary:
            packed = pack_texts(data) if name == "label" else pack_floats(data)
            output["parameters"] = {"binary_data_size": len(packed)}
            follows += packed
        else:
            output["data"] = data
        outputs.append(output)
    return outputs, follows


def join_binary(answer: dict[str, Any], follows: bytes) -> tuple[bytes, int]:
    """A body of JSON and bytes, and the length of the JSON."""
    head = json.dumps(answer).encode()
    return head + follows, len(head)


def _tensor(name: str, predictions: Sequence[Prediction]) -> tuple[list[int], list[Any]]:
    """Shape and flat data."""
    found = [p.label if name == "label" else p.probability for p in predictions]
    if not any(isinstance(each, list) for each in found):
        return [len(found)], [_value(each) for each in found]
    rows = [each for each in found if isinstance(each, list)]
    width, filler = max(map(len, rows)), "" if name == "label" else 0.0
    return [len(rows), width], [_value(v) for row in rows for v in [*row, *[filler] * (width - len(row))]]


def _value(value: Any) -> Any:
    return value if isinstance(value, str) else round(value, 6)
