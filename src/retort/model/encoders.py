"""Which encoder computes which family's weights: a table."""

from collections.abc import Callable, Mapping

from retort.model.bilstm import Bilstm
from retort.model.encoder import Encoder

AnyEncoder = Encoder | Bilstm

# family -> (config, weights, precision, dropout, lora_rank, n_frozen, seed) -> encoder
ENCODERS: Mapping[str, Callable[..., AnyEncoder]] = {"bert": Encoder, "albert": Encoder, "bilstm": Bilstm}
