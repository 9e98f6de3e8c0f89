"""What each family of encoders brings with it: a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retort.model.architecture import Weights
from retort.model.bilstm import Bilstm
from retort.model.bilstm_folder import describe_bilstm
from retort.model.encoder import Encoder
from retort.model.hugging_face import to_hugging_face

AnyEncoder = Encoder | Bilstm


@dataclass(frozen=True, slots=True)
class Family:
    """`build` makes an encoder: (config, weights, precision, dropout, lora_rank, n_frozen, seed) -> encoder.

    `describe` makes what a trained model's folder holds: (config, weights, labels, problem type) -> `config.json` and
    the tensors of `model.safetensors`.
    """

    build: Callable[..., AnyEncoder]
    describe: Callable[..., tuple[dict[str, Any], Weights]]


FAMILIES: Mapping[str, Family] = {
    "bert": Family(Encoder, to_hugging_face),
    "albert": Family(Encoder, to_hugging_face),
    "bilstm": Family(Bilstm, describe_bilstm),
}
