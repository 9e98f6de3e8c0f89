"""What an encoder is made of: its sizes, and its weights under one set of names.  No TensorFlow, no file formats.

BERT is ALBERT with as many groups as layers and no embedding projection, so one description serves both.  `Weights`
are float32 arrays under these names; kernels are (in, out):

    embeddings.word (V, E)   embeddings.position (P, E)   embeddings.token_type (2, E)
    embeddings.norm.gamma / .beta (E,)
    embeddings.projection.kernel / .bias (E, H)                            where E != H or the family is ALBERT
    layer.<g>.attention.query|key|value|output.kernel / .bias (H, H)       g counts groups
    layer.<g>.attention.norm.gamma / .beta (H,)
    layer.<g>.ffn.intermediate.kernel / .bias (H, I)      layer.<g>.ffn.output.kernel / .bias (I, H)
    layer.<g>.ffn.norm.gamma / .beta (H,)
    pooler.kernel / .bias (H, H)                                           where the encoder has one
    classifier.kernel / .bias (H, n_labels)                                of a trained model only
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Sizes and constants of a BERT or ALBERT encoder.

    `activation` is `gelu` (by erf), `gelu_new` (tanh approximation) or `relu`, as `transformers` names them.
    `pooling` is what stands for the whole text: `cls` (the first token's state through the pooler) or `mean` (the mean
    of the tokens' states, normalised).
    """

    family: str  # "bert" or "albert"
    vocab_size: int
    embedding_size: int
    hidden_size: int
    n_layers: int
    n_groups: int
    n_heads: int
    intermediate_size: int
    max_positions: int = 512
    n_token_types: int = 2
    activation: str = "gelu"
    layer_norm_eps: float = 1e-12
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    pad_token_id: int = 0
    pooling: str = "cls"
    pooler_activation: str = "tanh"  # "relu" in folders of the older project

    def group_of(self, layer: int) -> int:
        """Which group's weights layer number `layer` uses."""
        return layer * self.n_groups // self.n_layers
