"""A request of the Open Inference Protocol becomes texts and wanted outputs; its tensor is JSON or binary."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from retort.api.fields import RequestModel, Size, Texts, check_fields
from retort.api.strict_json import parse_json
from retort.api.tensors import unpack_texts
from retort.errors import InvalidInput

HEADER_LENGTH = "Inference-Header-Content-Length"


class TextTensor(RequestModel):
    """The texts.  `data` says how many there are; flat data of shape [N, 2] are pairs."""

    name: Literal["text"]
    datatype: Literal["BYTES"]
    shape: list[Size]
    data: Texts
    parameters: dict[str, Any] | None = Field(None, description="Changes nothing.")


class BinarySize(RequestModel):
    """How many of the bytes after the JSON are the tensor."""

    binary_data_size: Size


class BinaryTensor(RequestModel):
    """The texts, in the bytes after the JSON."""

    name: Literal["text"]
    datatype: Literal["BYTES"]
    shape: list[Size]
    parameters: BinarySize


class OutputParameters(RequestModel):
    """How an output comes."""

    binary_data: bool | None = None


class RequestedOutput(RequestModel):
    """An output that is wanted."""

    name: Literal["label", "probability"]
    parameters: OutputParameters | None = None


class InferParameters(RequestModel):
    """Keys that are not listed change nothing."""

    model_config = ConfigDict(extra="allow")

    binary_data_output: bool | None = Field(
        None, description="Whether outputs are binary that do not say it themselves."
    )


class _Infer(RequestModel):
    example: ClassVar[str] = '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["…"]}]}'
    expected: ClassVar[dict[str, str]] = {
        "inputs": "a list of one object, the tensor `text`",
        "inputs.name": "`text`",
        "inputs.datatype": "`BYTES`",
        "inputs.shape": "a list of whole numbers: [N] of texts, [N, 2] of pairs",
        "inputs.data": "a list of strings or of pairs of strings",
        "inputs.parameters": "an object",
        "inputs.parameters.binary_data_size": "a whole number of bytes",
        "outputs": "a list of objects",
        "outputs.name": "`label` or `probability`",
        "outputs.parameters": "an object",
        "outputs.parameters.binary_data": "true or false",
        "parameters": "an object",
        "parameters.binary_data_output": "true or false",
        "id": "a string",
    }

    id: str | None = None
    outputs: list[RequestedOutput] | None = Field(None, description="All of them where none is named.")
    parameters: InferParameters | None = None


class InferRequest(_Infer):
    """Texts to label."""

    inputs: Annotated[list[TextTensor], Field(min_length=1, max_length=1)]


class BinaryInferRequest(_Infer):
    """The JSON before the bytes of the texts."""

    inputs: Annotated[list[BinaryTensor], Field(min_length=1, max_length=1)]


@dataclass(frozen=True, slots=True)
class Asked:
    """`items` are texts and pairs, not checked yet; `outputs` the names of those wanted, and whether each is binary."""

    id: str | None
    items: list[Any]
    outputs: list[tuple[str, bool]]


def read_infer_request(body: bytes, header_length: str | None) -> Asked:
    """`header_length` is how many bytes of the body are JSON where binary data follow.

    Raises NotJson; InvalidInput.
    """
    if header_length is None:
        asked = check_fields(parse_json(body), InferRequest)
        return Asked(asked.id, _pair_up(asked.inputs[0].data, asked.inputs[0].shape), _outputs(asked))
    if not (header_length.isascii() and header_length.isdigit() and int(header_length[:12]) <= len(body)):
        raise InvalidInput(f"`{HEADER_LENGTH}`: expected how many bytes of the body are JSON.")
    n_json = int(header_length[:12])
    binary = check_fields(parse_json(body[:n_json]), BinaryInferRequest)
    return Asked(binary.id, _unpack(body[n_json:], binary.inputs[0]), _outputs(binary))


def _unpack(packed: bytes, tensor: BinaryTensor) -> list[Any]:
    if len(packed) != tensor.parameters.binary_data_size:
        raise InvalidInput(f"`binary_data_size`: expected {len(packed)}, the bytes after the JSON, got another number.")
    texts = unpack_texts(packed)
    if math.prod(tensor.shape) != len(texts):
        raise InvalidInput(f"`shape`: expected that of {len(texts)} texts, got another.")
    return _pair_up(texts, tensor.shape)


def _pair_up(data: list[Any], shape: list[int]) -> list[Any]:
    """Flat data of shape [N, 2] become pairs; other data are what they are."""
    is_flat_pairs = shape[1:] == [2] and len(data) == 2 * shape[0] and all(isinstance(item, str) for item in data)
    return [list(pair) for pair in zip(data[::2], data[1::2], strict=True)] if is_flat_pairs else data


def _outputs(asked: _Infer) -> list[tuple[str, bool]]:
    by_default = bool(asked.parameters and asked.parameters.binary_data_output)
    if not asked.outputs:
        return [("label", by_default), ("probability", by_default)]
    own = [(wanted.name, (wanted.parameters or OutputParameters()).binary_data) for wanted in asked.outputs]
    return [(name, by_default if is_binary is None else is_binary) for name, is_binary in own]
