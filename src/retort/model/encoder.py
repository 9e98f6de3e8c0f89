"""Token ids become hidden states: one compact encoder for BERT and ALBERT, straight from `Weights`.

Master weights are float32; matrix products run in `precision`; norms and softmax in float32.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from retort.errors import BadUsage
from retort.model.architecture import Config, EncoderConfig, Weights
from retort.model.operations import ACTIVATIONS, Tensor, attention_shares, dropout, layer_norm, linear
from retort.tasks.base import Floats

PARTS = ("query", "key", "value")  # in the order in which the fused kernel holds them
LORA_KERNELS = ("attention.qkv", "attention.output", "ffn.intermediate", "ffn.output")
LORA_SCALE = 2.0  # what LoRA's alpha / rank usually is


def parse_freeze(freeze: str, config: Config) -> int:
    """How many layers `none`, a number or `all` keeps as they are.

    Raises BadUsage: it is none of these, or more than the encoder has.
    """
    n = {"none": "0", "all": str(config.n_layers)}.get(freeze.strip().lower(), freeze.strip())
    if not n.isascii() or not n.isdecimal() or int(n) > config.n_layers:
        raise BadUsage(f"Expected --freeze to be none, all or a number up to {config.n_layers}, got {freeze!r}.")
    return int(n)


class Encoder:
    """A BERT or ALBERT encoder whose variables start as `weights`.

    `dropout` overrules both rates of the configuration.  `n_frozen` counts layers that stay as they are, from the
    bottom and with the embeddings; groups that a trained layer shares still train.  With `lora_rank` only low-rank
    updates of the trained layers' kernels train.
    """

    inputs: ClassVar[Mapping[str, tf.TensorSpec]] = {
        "input_ids": tf.TensorSpec([None, None], tf.int32),
        "attention_mask": tf.TensorSpec([None, None], tf.int32),
        "token_type_ids": tf.TensorSpec([None, None], tf.int32),
    }

    def __init__(
        self,
        config: EncoderConfig,
        weights: Weights,
        precision: str = "float32",
        dropout: float | None = None,
        lora_rank: int = 0,
        n_frozen: int = 0,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.dtype = tf.as_dtype(precision)
        self.hidden_dropout = config.hidden_dropout if dropout is None else dropout
        self.attention_dropout = config.attention_dropout if dropout is None else dropout
        self.lora_rank, self.n_frozen = lora_rank, n_frozen
        self._projects = "embeddings.projection.kernel" in weights
        frozen = {config.group_of(i) for i in range(n_frozen)} - {
            config.group_of(i) for i in range(n_frozen, config.n_layers)
        }
        self.variables: dict[str, tf.Variable] = {}
        for name, value in _fused(config, weights).items():
            kept = int(name.split(".")[1]) in frozen if name.startswith("layer.") else n_frozen > 0
            self._add(name, value, trainable=not kept and not lora_rank)
        if lora_rank:
            self._add_lora([g for g in range(config.n_groups) if g not in frozen], seed)

    @property
    def trainable(self) -> dict[str, tf.Variable]:
        """The variables that training changes, by name."""
        return {name: v for name, v in self.variables.items() if v.trainable}

    def __call__(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        training: bool = False,
        seed: Tensor | None = None,
    ) -> Tensor:
        """Ids, mask and types (B, T) become hidden states (B, T, H), float32.

        `seed` (2,) int64 decides about dropout; with `training` it must be given.  Frozen layers do without dropout.
        """
        shape = tf.shape(input_ids)
        x = self._embed(input_ids, token_type_ids, _seed_of(seed, 0) if training and not self.n_frozen else None)
        bias = (1.0 - tf.cast(attention_mask[:, None, None, :], tf.float32)) * -1e9
        for layer in range(self.config.n_layers):
            drops = training and layer >= self.n_frozen
            x = self._layer(x, layer, shape, bias, _seed_of(seed, 4 * layer + 1) if drops else None)
        return tf.reshape(tf.cast(x, tf.float32), [shape[0], shape[1], self.config.hidden_size])

    def export_weights(self) -> Weights:
        """The weights as `Weights` names them: query, key and value apart, LoRA added to the kernels it updates."""
        found: Weights = {}
        for name, variable in self.variables.items():
            if "lora_" in name:
                continue
            value = variable.numpy()
            stem = name.rpartition(".")[0]
            if name.endswith(".kernel") and f"{stem}.lora_a" in self.variables:
                a, b = (self.variables[f"{stem}.lora_{x}"].numpy().astype(np.float64) for x in "ab")
                value = (value + LORA_SCALE * (a @ b)).astype(np.float32)
            if ".qkv." in name:
                for part, piece in zip(PARTS, np.split(value, 3, axis=-1), strict=True):
                    found[name.replace("qkv", part)] = np.ascontiguousarray(piece)
            else:
                found[name] = value
        return found

    def _add(self, name: str, value: Floats, trainable: bool) -> None:
        self.variables[name] = tf.Variable(value, trainable=trainable, name=name, dtype=tf.float32)

    def _add_lora(self, groups: list[int], seed: int) -> None:
        generator = np.random.default_rng([seed, 7])
        for stem in (f"layer.{g}.{kernel}" for g in groups for kernel in LORA_KERNELS):
            n_in, n_out = self.variables[f"{stem}.kernel"].shape
            a = generator.normal(0.0, n_in**-0.5, (n_in, self.lora_rank))
            self._add(f"{stem}.lora_a", a.astype(np.float32), trainable=True)
            self._add(f"{stem}.lora_b", np.zeros((self.lora_rank, n_out), np.float32), trainable=True)

    def _linear(self, x: Tensor, stem: str) -> Tensor:
        v = self.variables
        y = linear(x, v[f"{stem}.kernel"], v[f"{stem}.bias"], self.dtype)
        if f"{stem}.lora_a" in v:
            narrow = tf.matmul(tf.cast(x, self.dtype), tf.cast(v[f"{stem}.lora_a"], self.dtype))
            y += tf.matmul(narrow, tf.cast(LORA_SCALE * v[f"{stem}.lora_b"], self.dtype))
        return y

    def _norm(self, x: Tensor, stem: str) -> Tensor:
        v = self.variables
        return layer_norm(x, v[f"{stem}.gamma"], v[f"{stem}.beta"], self.config.layer_norm_eps)

    def _embed(self, input_ids: Tensor, token_type_ids: Tensor, seed: Tensor | None) -> Tensor:
        """(B, T) becomes (B * T, H)."""
        v, c = self.variables, self.config
        types = tf.one_hot(token_type_ids, c.n_token_types) @ v["embeddings.token_type"]
        x = tf.gather(v["embeddings.word"], input_ids) + v["embeddings.position"][: tf.shape(input_ids)[1]] + types
        x = self._norm(tf.reshape(x, [-1, c.embedding_size]), "embeddings.norm")
        if seed is not None:
            x = dropout(x, self.hidden_dropout, seed)
        return tf.cast(self._linear(x, "embeddings.projection"), tf.float32) if self._projects else x

    def _layer(self, x: Tensor, layer: int, shape: Tensor, bias: Tensor, seed: Tensor | None) -> Tensor:
        stem = f"layer.{self.config.group_of(layer)}"
        attended = self._attend(self._linear(x, f"{stem}.attention.qkv"), shape, bias, seed)
        x = self._join(x, self._linear(attended, f"{stem}.attention.output"), f"{stem}.attention.norm", seed, 1)
        inner = ACTIVATIONS[self.config.activation](self._linear(x, f"{stem}.ffn.intermediate"))
        return self._join(x, self._linear(inner, f"{stem}.ffn.output"), f"{stem}.ffn.norm", seed, 2)

    def _join(self, x: Tensor, update: Tensor, norm: str, seed: Tensor | None, site: int) -> Tensor:
        if seed is not None:
            update = dropout(update, self.hidden_dropout, _seed_of(seed, site))
        return self._norm(x + tf.cast(update, tf.float32), norm)

    def _attend(self, qkv: Tensor, shape: Tensor, bias: Tensor, seed: Tensor | None) -> Tensor:
        """Queries, keys and values (B * T, 3H) become what each token attends to, (B * T, H)."""
        n_heads, hidden_size = self.config.n_heads, self.config.hidden_size
        size = hidden_size // n_heads
        heads = tf.transpose(tf.reshape(qkv, [shape[0], shape[1], 3, n_heads, size]), [2, 0, 3, 1, 4])
        query, key, value = tf.unstack(heads)
        scores = tf.matmul(query, key, transpose_b=True)
        shares = attention_shares(scores, bias, size**-0.5)
        if seed is not None:
            shares = dropout(shares, self.attention_dropout, seed)
        return tf.reshape(tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3]), [-1, hidden_size])


def _fused(config: EncoderConfig, weights: Weights) -> Weights:
    """`weights` with query, key and value as one, in a fixed order, without pooler and classifier."""
    found = {n: w for n, w in weights.items() if n.startswith("embeddings.")}
    for g in range(config.n_groups):
        stem = f"layer.{g}.attention"
        for kind in ("kernel", "bias"):
            found[f"{stem}.qkv.{kind}"] = np.concatenate([weights[f"{stem}.{p}.{kind}"] for p in PARTS], axis=-1)
        rest = (n for n in weights if n.startswith(f"layer.{g}.") and n.split(".")[-2] not in PARTS)
        found |= {n: weights[n] for n in rest}
    return found


def _seed_of(seed: Tensor, site: int) -> Tensor:
    """The seed of one place in the graph, so that no two places drop the same values."""
    return seed + tf.constant([site, 0], tf.int64)
