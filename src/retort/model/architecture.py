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
    crf.transitions (n_labels, n_labels)   crf.start / .end (n_labels,)    of one with a CRF

and of a bilstm (gates in the order i, o, f, c; the first axis of `lstm.*` is forwards and backwards):

    embeddings.word (V, E)   embeddings.character (K, D)   characters.kernel (3, D, F)   characters.bias (F,)
    lstm.<l>.kernel (2, E + F or H, 4U)   lstm.<l>.recurrent (2, U, 4U)   lstm.<l>.bias (2, 4U)      H = 2U
"""

from dataclasses import dataclass
from typing import ClassVar

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

    n_characters: ClassVar[int] = 0  # of each token that it reads beside its id
    crf_speed: ClassVar[float] = 100.0  # how many times its learning rate a CRF on it needs to arrive anywhere

    def group_of(self, layer: int) -> int:
        """Which group's weights layer number `layer` uses."""
        return layer * self.n_groups // self.n_layers


@dataclass(frozen=True, slots=True)
class BilstmConfig:
    """Sizes of a bilstm.  Ids of characters are the first rows of its vocabulary, right behind the special tokens."""

    vocab_size: int
    n_known_characters: int  # rows of the table of characters, special tokens included
    embedding_size: int = 100
    character_size: int = 50
    n_filters: int = 100
    n_characters: int = 16  # of each token
    hidden_size: int = 200  # both directions together
    n_layers: int = 1
    hidden_dropout: float = 0.5
    word_dropout: float = 0.15  # the share of words that training takes for unknown
    max_positions: int = 512  # it could read longer, only slower and slower
    unknown_id: int = 1
    n_special: int = 4  # the ids below are no words
    pad_token_id: int = 0
    initializer_range: float = 0.1  # of a head's kernels
    layer_norm_eps: float = 1e-12
    pooling: str = "mean"  # where one vector shall stand for a text
    pooler_activation: str = "tanh"

    family: ClassVar[str] = "bilstm"
    character_width: ClassVar[int] = 3
    crf_speed: ClassVar[float] = 1.0

    @property
    def n_units(self) -> int:
        """Size of a state in one direction."""
        return self.hidden_size // 2


Config = EncoderConfig | BilstmConfig
