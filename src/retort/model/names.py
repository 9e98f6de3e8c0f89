"""What each family of checkpoints calls the weights of `architecture.py`: tables, and the shape of every tensor.

A name is a module (`layer.0.ffn.output`) and a leaf (`kernel`); embedding tables are modules without a leaf.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights

# V vocabulary, E embedding, P positions, S segments (token types), H hidden, I intermediate; {g} counts groups.
SHAPES: dict[str, str] = {
    "embeddings.word": "VE",
    "embeddings.position": "PE",
    "embeddings.token_type": "SE",
    "embeddings.norm.gamma": "E",
    "embeddings.norm.beta": "E",
    "embeddings.projection.kernel": "EH",
    "embeddings.projection.bias": "H",
    "layer.{g}.attention.query.kernel": "HH",
    "layer.{g}.attention.query.bias": "H",
    "layer.{g}.attention.key.kernel": "HH",
    "layer.{g}.attention.key.bias": "H",
    "layer.{g}.attention.value.kernel": "HH",
    "layer.{g}.attention.value.bias": "H",
    "layer.{g}.attention.output.kernel": "HH",
    "layer.{g}.attention.output.bias": "H",
    "layer.{g}.attention.norm.gamma": "H",
    "layer.{g}.attention.norm.beta": "H",
    "layer.{g}.ffn.intermediate.kernel": "HI",
    "layer.{g}.ffn.intermediate.bias": "I",
    "layer.{g}.ffn.output.kernel": "IH",
    "layer.{g}.ffn.output.bias": "H",
    "layer.{g}.ffn.norm.gamma": "H",
    "layer.{g}.ffn.norm.beta": "H",
    "pooler.kernel": "HH",
    "pooler.bias": "H",
}

_HUGGING_FACE_EMBEDDINGS = {
    "embeddings.word": "embeddings.word_embeddings.weight",
    "embeddings.position": "embeddings.position_embeddings.weight",
    "embeddings.token_type": "embeddings.token_type_embeddings.weight",
    "embeddings.norm": "embeddings.LayerNorm",
}
_HUGGING_FACE_LEAVES = {
    "kernel": ("weight",),
    "bias": ("bias",),
    "gamma": ("weight", "gamma"),  # checkpoints of 2018 and 2019 kept TensorFlow's names
    "beta": ("bias", "beta"),
}
_GOOGLE_EMBEDDINGS = {
    "embeddings.word": "embeddings/word_embeddings",
    "embeddings.position": "embeddings/position_embeddings",
    "embeddings.token_type": "embeddings/token_type_embeddings",
    "embeddings.norm": "embeddings/LayerNorm",
}
_GOOGLE_LEAVES = {"kernel": ("kernel",), "bias": ("bias",), "gamma": ("gamma",), "beta": ("beta",)}


@dataclass(frozen=True, slots=True)
class Scheme:
    """One family's names: module -> module there, leaf -> leaves there (any of them); or module.leaf -> name there."""

    modules: Mapping[str, str]
    leaves: Mapping[str, tuple[str, ...]]
    separator: str
    transposed: bool  # kernels are (out, in) there

    def names(self, module: str, leaf: str, group: int) -> list[str]:
        """What `module` (with `{g}` in it) and `leaf` may be called there, the usual name first."""
        if (whole := self.modules.get(f"{module}.{leaf}")) is not None:
            return [whole]
        there = self.modules[module].replace("{g}", str(group))
        return [there + self.separator + each for each in self.leaves[leaf]] if leaf else [there]


HUGGING_FACE: dict[str, Scheme] = {
    "bert": Scheme(
        {
            **_HUGGING_FACE_EMBEDDINGS,
            "layer.{g}.attention.query": "encoder.layer.{g}.attention.self.query",
            "layer.{g}.attention.key": "encoder.layer.{g}.attention.self.key",
            "layer.{g}.attention.value": "encoder.layer.{g}.attention.self.value",
            "layer.{g}.attention.output": "encoder.layer.{g}.attention.output.dense",
            "layer.{g}.attention.norm": "encoder.layer.{g}.attention.output.LayerNorm",
            "layer.{g}.ffn.intermediate": "encoder.layer.{g}.intermediate.dense",
            "layer.{g}.ffn.output": "encoder.layer.{g}.output.dense",
            "layer.{g}.ffn.norm": "encoder.layer.{g}.output.LayerNorm",
            "pooler": "pooler.dense",
        },
        _HUGGING_FACE_LEAVES,
        separator=".",
        transposed=True,
    ),
    "albert": Scheme(
        {
            **_HUGGING_FACE_EMBEDDINGS,
            "embeddings.projection": "encoder.embedding_hidden_mapping_in",
            "layer.{g}.attention.query": "encoder.albert_layer_groups.{g}.albert_layers.0.attention.query",
            "layer.{g}.attention.key": "encoder.albert_layer_groups.{g}.albert_layers.0.attention.key",
            "layer.{g}.attention.value": "encoder.albert_layer_groups.{g}.albert_layers.0.attention.value",
            "layer.{g}.attention.output": "encoder.albert_layer_groups.{g}.albert_layers.0.attention.dense",
            "layer.{g}.attention.norm": "encoder.albert_layer_groups.{g}.albert_layers.0.attention.LayerNorm",
            "layer.{g}.ffn.intermediate": "encoder.albert_layer_groups.{g}.albert_layers.0.ffn",
            "layer.{g}.ffn.output": "encoder.albert_layer_groups.{g}.albert_layers.0.ffn_output",
            "layer.{g}.ffn.norm": "encoder.albert_layer_groups.{g}.albert_layers.0.full_layer_layer_norm",
            "pooler": "pooler",
        },
        _HUGGING_FACE_LEAVES,
        separator=".",
        transposed=True,
    ),
}

_GOOGLE_GROUP = "encoder/transformer/group_{g}/inner_group_0/"

GOOGLE: dict[str, Scheme] = {
    "bert": Scheme(
        {
            **_GOOGLE_EMBEDDINGS,
            "layer.{g}.attention.query": "encoder/layer_{g}/attention/self/query",
            "layer.{g}.attention.key": "encoder/layer_{g}/attention/self/key",
            "layer.{g}.attention.value": "encoder/layer_{g}/attention/self/value",
            "layer.{g}.attention.output": "encoder/layer_{g}/attention/output/dense",
            "layer.{g}.attention.norm": "encoder/layer_{g}/attention/output/LayerNorm",
            "layer.{g}.ffn.intermediate": "encoder/layer_{g}/intermediate/dense",
            "layer.{g}.ffn.output": "encoder/layer_{g}/output/dense",
            "layer.{g}.ffn.norm": "encoder/layer_{g}/output/LayerNorm",
            "pooler": "pooler/dense",
        },
        _GOOGLE_LEAVES,
        separator="/",
        transposed=False,
    ),
    "albert": Scheme(
        {
            **_GOOGLE_EMBEDDINGS,
            "embeddings.projection": "encoder/embedding_hidden_mapping_in",
            "layer.{g}.attention.query": _GOOGLE_GROUP + "attention_1/self/query",
            "layer.{g}.attention.key": _GOOGLE_GROUP + "attention_1/self/key",
            "layer.{g}.attention.value": _GOOGLE_GROUP + "attention_1/self/value",
            "layer.{g}.attention.output": _GOOGLE_GROUP + "attention_1/output/dense",
            "layer.{g}.attention.norm": _GOOGLE_GROUP + "LayerNorm",
            "layer.{g}.ffn.intermediate": _GOOGLE_GROUP + "ffn_1/intermediate/dense",
            "layer.{g}.ffn.output": _GOOGLE_GROUP + "ffn_1/intermediate/output/dense",
            "layer.{g}.ffn.norm": _GOOGLE_GROUP + "LayerNorm_1",
            "pooler": "pooler/dense",
        },
        _GOOGLE_LEAVES,
        separator="/",
        transposed=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors of one checkpoint, read one by one: `shapes` names them all, `read` gives one."""

    source: str  # for messages
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


def split_name(name: str) -> tuple[str, str]:
    """`layer.0.ffn.output.kernel` -> (`layer.0.ffn.output`, `kernel`); an embedding table has no leaf."""
    module, _, leaf = name.rpartition(".")
    return (module, leaf) if leaf in _GOOGLE_LEAVES else (name, "")


def expected_shapes(config: EncoderConfig, pooler: bool = True) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight that an encoder of this configuration has."""
    sizes = {
        "V": config.vocab_size,
        "E": config.embedding_size,
        "P": config.max_positions,
        "S": config.n_token_types,
        "H": config.hidden_size,
        "I": config.intermediate_size,
    }
    projected = config.family == "albert" or config.embedding_size != config.hidden_size
    return {
        name.replace("{g}", str(group)): tuple(sizes[axis] for axis in axes)
        for name, axes in SHAPES.items()
        if (projected or "projection" not in name) and (pooler or not name.startswith("pooler."))
        for group in range(config.n_groups if "{g}" in name else 1)
    }


def gather(config: EncoderConfig, scheme: Scheme, tensors: Tensors) -> Weights:
    """Read every weight of `config` from `tensors`, float32, kernels (in, out).

    Raises BadCheckpoint, naming the tensor and what was expected: one is missing or has another shape.
    """
    prefix = _prefix(scheme, tensors)
    pooler = any(prefix + each in tensors.shapes for each in scheme.names("pooler", "kernel", 0))
    shapes, weights = expected_shapes(config, pooler), Weights()
    for template in SHAPES:
        module, leaf = split_name(template)
        for group in range(config.n_groups if "{g}" in template else 1):
            name = template.replace("{g}", str(group))
            if (shape := shapes.get(name)) is not None:
                wanted = [prefix + each for each in scheme.names(module, leaf, group)]
                weights[name] = _read(tensors, wanted, shape, scheme.transposed and leaf == "kernel")
    return weights


def _prefix(scheme: Scheme, tensors: Tensors) -> str:
    """What stands before every name: `bert.`, `bert/`, nothing, or what a wrapper added."""
    (word,) = scheme.names("embeddings.word", "", 0)
    found = sorted((n.removesuffix(word) for n in tensors.shapes if n.endswith(word)), key=len)
    if not found:
        raise BadCheckpoint(f"{tensors.source} holds no {word}: expected the weights of a BERT or ALBERT encoder.")
    return found[0]


def _read(tensors: Tensors, names: list[str], shape: tuple[int, ...], transposed: bool) -> np.ndarray:
    name = next((n for n in names if n in tensors.shapes), None)
    there = shape[::-1] if transposed else shape
    if name is None:
        raise BadCheckpoint(f"{tensors.source} lacks {names[0]}; its configuration asks for it, with shape {there}.")
    if tensors.shapes[name] != there:
        raise BadCheckpoint(
            f"{tensors.source}: {name} has shape {tensors.shapes[name]}, but its configuration asks for {there}."
        )
    array = np.asarray(tensors.read(name), np.float32)
    return np.ascontiguousarray(array.T) if transposed else array
