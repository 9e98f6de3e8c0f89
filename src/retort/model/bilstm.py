"""Token ids and characters become hidden states: word embeddings, a convolution over characters, and LSTMs both ways.

It is trained from nothing, so it is small; words that it has never seen it reads by their characters.
Source: Ma and Hovy 2016, End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from retort.errors import BadUsage
from retort.model.architecture import BilstmConfig, Weights
from retort.model.operations import Tensor, dropout


class Bilstm:
    """An encoder whose variables start as `weights`.  `dropout` overrules the configuration's.

    It computes in float32 whatever `precision` says: its products are small, and there are many of them in a row.
    """

    inputs: ClassVar[Mapping[str, tf.TensorSpec]] = {
        "input_ids": tf.TensorSpec([None, None], tf.int32),
        "attention_mask": tf.TensorSpec([None, None], tf.int32),
        "characters": tf.TensorSpec([None, None, None], tf.int32),
    }
    dtype = tf.float32

    def __init__(
        self,
        config: BilstmConfig,
        weights: Weights,
        precision: str = "float32",
        dropout: float | None = None,
        lora_rank: int = 0,
        n_frozen: int = 0,
        seed: int = 0,
    ) -> None:
        """Raises BadUsage: part of it shall stay as it is; nothing of it is pretrained."""
        if lora_rank or n_frozen:
            raise BadUsage("--lora-rank and --freeze are for pretrained encoders; a bilstm learns all that it knows.")
        self.config = config
        self.hidden_dropout = config.hidden_dropout if dropout is None else dropout
        self.variables = {
            name: tf.Variable(weights[name], name=name, dtype=tf.float32, shape=shape)
            for name, shape in bilstm_shapes(config).items()
        }

    @property
    def trainable(self) -> dict[str, tf.Variable]:
        """The variables that training changes, by name."""
        return dict(self.variables)

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        characters: Tensor,
        training: bool = False,
        seed: Tensor | None = None,
    ) -> Tensor:
        """Ids and mask (B, T) and characters (B, T, C) become hidden states (B, T, H), float32, 0 where padding is.

        `seed` (2,) int64 decides about dropout and which words are taken for unknown; `training` needs it.
        """
        if training:
            input_ids = self._forget(input_ids, _seed_of(seed, 0))
        x = tf.concat([tf.gather(self.variables["embeddings.word"], input_ids), self._spell(characters)], -1)
        lengths = tf.reduce_sum(attention_mask, 1)
        mask = tf.cast(attention_mask, tf.float32)[:, :, None]
        for layer in range(self.config.n_layers):
            if training:
                x = dropout(x, self.hidden_dropout, _seed_of(seed, layer + 1))
            x = self._read_both_ways(x, lengths, f"lstm.{layer}") * mask
        return x

    def export_weights(self) -> Weights:
        """The weights as `architecture` names them."""
        return {name: variable.numpy() for name, variable in self.variables.items()}

    def _forget(self, input_ids: Tensor, seed: Tensor) -> Tensor:
        """Some words become the unknown one, so that it stands for words that are spelled and not known."""
        unlucky = tf.random.stateless_uniform(tf.shape(input_ids), seed) < self.config.word_dropout
        is_word = input_ids >= self.config.n_special
        return tf.where(unlucky & is_word, self.config.unknown_id, input_ids)

    def _spell(self, characters: Tensor) -> Tensor:
        """(B, T, C) becomes what is most of each pattern of three characters, (B, T, F); 0 where there are none."""
        v, shape = self.variables, tf.shape(characters)
        flat = tf.reshape(characters, [-1, shape[2]])
        present = tf.cast(flat > 0, tf.float32)[:, :, None]
        embedded = tf.gather(v["embeddings.character"], flat) * present
        found = tf.nn.relu(tf.nn.conv1d(embedded, v["characters.kernel"], 1, "SAME") + v["characters.bias"]) * present
        return tf.reshape(tf.reduce_max(found, 1), [shape[0], shape[1], self.config.n_filters])

    def _read_both_ways(self, x: Tensor, lengths: Tensor, stem: str) -> Tensor:
        """(B, T, I) becomes (B, T, H): one half read forwards, the other backwards from each row's last token."""
        both = tf.stack([x, tf.reverse_sequence(x, lengths, 1)])
        v = self.variables
        forwards, backwards = tf.unstack(
            _run_lstm(both, v[f"{stem}.kernel"], v[f"{stem}.recurrent"], v[f"{stem}.bias"])
        )
        return tf.concat([forwards, tf.reverse_sequence(backwards, lengths, 1)], -1)


def bilstm_shapes(config: BilstmConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of a bilstm."""
    c, units = config, config.n_units
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word": (c.vocab_size, c.embedding_size),
        "embeddings.character": (c.n_known_characters, c.character_size),
        "characters.kernel": (c.character_width, c.character_size, c.n_filters),
        "characters.bias": (c.n_filters,),
    }
    for layer in range(c.n_layers):
        n_in = c.hidden_size if layer else c.embedding_size + c.n_filters
        shapes[f"lstm.{layer}.kernel"] = (2, n_in, 4 * units)
        shapes[f"lstm.{layer}.recurrent"] = (2, units, 4 * units)
        shapes[f"lstm.{layer}.bias"] = (2, 4 * units)
    return shapes


def draw_bilstm(config: BilstmConfig, seed: int = 0) -> Weights:
    """Random weights to start from: Glorot's for kernels, and gates that remember (a forget bias of 1)."""
    random, found = np.random.default_rng([seed, 3]), Weights()
    for name, shape in bilstm_shapes(config).items():
        if name.endswith("bias"):
            found[name] = np.zeros(shape, np.float32)
            continue
        fans = shape[-1] / 4 + shape[-2] if name.startswith("lstm") else shape[-1] + np.prod(shape[:-1])
        bound = (3 / shape[-1]) ** 0.5 if name.startswith("embeddings.") else float(6 / fans) ** 0.5
        found[name] = random.uniform(-bound, bound, shape).astype(np.float32)
    for layer in range(config.n_layers):
        found[f"lstm.{layer}.bias"][:, 2 * config.n_units : 3 * config.n_units] = 1.0
    return found


def _run_lstm(x: Tensor, kernel: Tensor, recurrent: Tensor, bias: Tensor) -> Tensor:
    """(D, B, T, I) becomes (D, B, T, U) along D directions at once: one product a step.  Gates are i, o, f, c."""
    inputs = tf.transpose(tf.einsum("dbti,dig->dbtg", x, kernel) + bias[:, None, None], [2, 0, 1, 3])
    n_steps, weights = tf.shape(inputs)[0], tf.convert_to_tensor(recurrent)
    zero = tf.zeros([tf.shape(x)[0], tf.shape(x)[1], recurrent.shape[1]])

    def step(t: Tensor, hidden: Tensor, cell: Tensor, out: tf.TensorArray) -> tuple[Tensor, ...]:
        gates = inputs[t] + tf.matmul(hidden, weights)
        let_in, let_out, keep, new = tf.split(gates, 4, -1)
        cell = tf.sigmoid(keep) * cell + tf.sigmoid(let_in) * tf.tanh(new)
        hidden = tf.sigmoid(let_out) * tf.tanh(cell)
        return t + 1, hidden, cell, out.write(t, hidden)

    out = tf.TensorArray(tf.float32, n_steps, element_shape=zero.shape)
    *_, out = tf.while_loop(lambda t, *_: t < n_steps, step, (tf.constant(0), zero, zero, out))
    return tf.transpose(out.stack(), [1, 2, 0, 3])


def _seed_of(seed: Tensor, site: int) -> Tensor:
    return seed + tf.constant([site, 0], tf.int64)
