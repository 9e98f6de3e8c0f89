"""A trained bilstm becomes `config.json` and tensors under our own names, and back."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from retort.errors import BadCheckpoint
from retort.model.architecture import BilstmConfig, Weights
from retort.model.bilstm import bilstm_shapes
from retort.model.configuration import read_json_object
from retort.model.hugging_face import OUR_FACTS
from retort.model.safetensors_files import open_safetensors

SIZES = "bilstm"  # the key of `config.json` for the whole of a BilstmConfig
WHY = "transformers has no LSTM that also reads characters"


def describe_bilstm(
    config: BilstmConfig, weights: Weights, labels: Sequence[str], problem_type: str
) -> tuple[dict[str, Any], Weights]:
    """`config.json` and the tensors of a trained model, `classifier.*` and `crf.*` included."""
    described = {
        "model_type": config.family,
        "problem_type": problem_type,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        SIZES: asdict(config),
        OUR_FACTS: {"transformers_compatible": False, "why": WHY},
    }
    return described, {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}


def read_bilstm(folder: Path) -> tuple[BilstmConfig, Weights]:
    """Read the encoder of a folder that Retort published.

    Raises BadCheckpoint: a file is missing or damaged, or they do not fit each other.
    """
    file = folder / "config.json"
    sizes = read_json_object(file).get(SIZES)
    wanted = {field.name: type(field.default) for field in fields(BilstmConfig)}
    kinds = {name: kind if kind in (float, str) else int for name, kind in wanted.items()}
    if not isinstance(sizes, dict) or {name: type(value) for name, value in sizes.items()} != kinds:
        raise BadCheckpoint(f"{file}: expected `{SIZES}` to hold {', '.join(kinds)}, got {sizes!r}.")
    config, tensors = BilstmConfig(**sizes), open_safetensors(folder)
    weights: Weights = {}
    for name, shape in bilstm_shapes(config).items():
        if tensors.shapes.get(name) != shape:
            there = tensors.shapes.get(name, "none")
            raise BadCheckpoint(f"{tensors.source}: expected {name} of shape {shape}, got {there}.")
        weights[name] = np.asarray(tensors.read(name), np.float32)
    return config, weights
