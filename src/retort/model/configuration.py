"""A model's own JSON configuration becomes an `EncoderConfig`; Google's files and Hugging Face's share their keys.

What the configuration asks for and Retort cannot do is refused here, so that no model runs as something else.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig

# Google's code computes every `gelu` by the tanh approximation; in `transformers` that is `gelu_new`.
GOOGLE_ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu"}
HUGGING_FACE_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_fast": "gelu_new",
    "relu": "relu",
}
# Key -> the values that mean what Retort computes; a file may leave each out.
_HONOURED: dict[str, tuple[object, ...]] = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "inner_group_num": (1,),
    "net_structure_type": (0,),
    "layers_to_keep": ([],),
    "gap_size": (0,),
    "num_memory_blocks": (0,),
    "down_scale_factor": (1,),
    "pruned_heads": ({}, None),
    "ln_type": ("postln",),
    "quantization_config": (None,),
}


def read_json_object(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises BadCheckpoint: the file is missing, is not UTF-8 JSON or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as e:
        raise BadCheckpoint(f"Cannot read {file}: {e}") from e
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{file}: expected a JSON object, got {type(content).__name__}.")
    return content


def parse_config(
    content: Mapping[str, Any], family: str, activations: Mapping[str, str], file: Path, pooling: str = "cls"
) -> EncoderConfig:
    """The encoder that `content`, read from `file`, describes.

    Raises BadCheckpoint, naming the key: a size is missing or impossible, or something Retort cannot do is asked for.
    """
    for key, honoured in _HONOURED.items():
        if key in content and content[key] not in honoured:
            raise BadCheckpoint(f"{file}: {key} = {content[key]!r} is not supported; expected {honoured[0]!r}.")
    n_layers, hidden_size = _size(content, "num_hidden_layers", file), _size(content, "hidden_size", file)
    n_heads = _size(content, "num_attention_heads", file)
    if hidden_size % n_heads:
        raise BadCheckpoint(f"{file}: hidden_size {hidden_size} is no multiple of num_attention_heads {n_heads}.")
    activation = str(content.get("hidden_act", "gelu" if family == "bert" else "gelu_new")).lower()
    activation = activations.get(activation, activation if activation in activations.values() else "")
    if not activation:
        raise BadCheckpoint(
            f"{file}: hidden_act = {content['hidden_act']!r} is not supported; expected {', '.join(activations)}."
        )
    shared = family == "albert"
    return EncoderConfig(
        family=family,
        vocab_size=_size(content, "vocab_size", file),
        embedding_size=_size(content, "embedding_size", file, 128) if shared else hidden_size,
        hidden_size=hidden_size,
        n_layers=n_layers,
        n_groups=_size(content, "num_hidden_groups", file, 1) if shared else n_layers,
        n_heads=n_heads,
        intermediate_size=_size(content, "intermediate_size", file),
        max_positions=_size(content, "max_position_embeddings", file, 512),
        n_token_types=_size(content, "type_vocab_size", file, 2),
        activation=activation,
        layer_norm_eps=_number(content, "layer_norm_eps", file, 1e-12),
        hidden_dropout=_number(content, "hidden_dropout_prob", file, 0.1, below=1),
        attention_dropout=_number(content, "attention_probs_dropout_prob", file, 0.1, below=1),
        initializer_range=_number(content, "initializer_range", file, 0.02),
        pad_token_id=int(_number(content, "pad_token_id", file, 0)),
        pooling=pooling,
    )


def _size(content: Mapping[str, Any], key: str, file: Path, default: int | None = None) -> int:
    value = content.get(key, default)
    if type(value) is not int or value < 1:
        raise BadCheckpoint(f"{file}: expected {key} to be a whole number above 0, got {value!r}.")
    return value


def _number(content: Mapping[str, Any], key: str, file: Path, default: float, below: float = float("inf")) -> float:
    value = content.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
        raise BadCheckpoint(f"{file}: expected {key} to be a number from 0 to below {below:g}, got {value!r}.")
    return float(value)
