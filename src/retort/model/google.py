"""Folders in Google's layout (`bert_config.json`, `bert_model.ckpt.*`) become a configuration and weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights
from retort.model.configuration import GOOGLE_ACTIVATIONS, parse_config, read_json_object
from retort.model.names import GOOGLE, Scheme, Tensors, gather

CONFIGS = {"bert_config*.json": "bert", "albert_config*.json": "albert"}
_FAULTS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)  # what TensorFlow raises at damaged files
_SHARED = "encoder/layer_shared/"  # brightmart's Chinese ALBERT: BERT's names, one layer
_PROJECTION = "embeddings/word_embeddings_2"  # and there, of word embeddings only


def find_google_config(folder: Path) -> tuple[Path, str] | None:
    """The configuration in Google's layout and the family it is of, if the folder holds one."""
    found = ((file, family) for pattern, family in CONFIGS.items() for file in sorted(folder.glob(pattern)))
    return next(found, None)


def read_google(folder: Path) -> tuple[EncoderConfig, Weights]:
    """Read the configuration and the TensorFlow checkpoint beside it; optimizer slots and heads are left out.

    Raises BadCheckpoint: a file is missing or damaged, a tensor is missing or has another shape.
    """
    found = find_google_config(folder)
    if found is None:
        raise BadCheckpoint(f"{folder} holds none of {', '.join(CONFIGS)}.")
    file, family = found
    config = parse_config(read_json_object(file), family, GOOGLE_ACTIVATIONS, file)
    tensors = open_checkpoint(folder)
    if any(_SHARED in name for name in tensors.shapes):
        return _read_shared(config, tensors)
    return config, gather(config, GOOGLE[family], tensors)


def open_checkpoint(folder: Path) -> Tensors:
    """The tensors of the folder's one TensorFlow checkpoint."""
    indexes = sorted(folder.glob("*.index"))
    if len(indexes) != 1:
        names = ", ".join(i.name for i in indexes) or "none"
        raise BadCheckpoint(f"{folder}: expected one TensorFlow checkpoint (*.ckpt.index), found {names}.")
    stem = indexes[0].with_suffix("")
    try:
        reader = tf.train.load_checkpoint(str(stem))
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    except _FAULTS as e:
        raise BadCheckpoint(f"Cannot read the checkpoint {stem}: {_message(e)}") from e

    def read(name: str) -> np.ndarray:
        try:
            return np.asarray(reader.get_tensor(name))
        except _FAULTS as e:
            raise BadCheckpoint(f"Cannot read {name} from the checkpoint {stem}: {_message(e)}") from e

    return Tensors(str(stem), shapes, read)


def _read_shared(config: EncoderConfig, tensors: Tensors) -> tuple[EncoderConfig, Weights]:
    """Brightmart's ALBERT projects word embeddings before positions are added.

    Products and sums commute, so the same function is an ALBERT whose word table is projected already.
    """
    names = {k: v.replace("layer_{g}/", "layer_shared/") for k, v in GOOGLE["bert"].modules.items()}
    scheme = Scheme(names, GOOGLE["bert"].leaves, "/", transposed=False)
    narrow = next((n for n in tensors.shapes if n.endswith(_PROJECTION)), None)
    if narrow is None:
        raise BadCheckpoint(f"{tensors.source} lacks {_PROJECTION}, which checkpoints with shared layers have.")
    word = narrow.removesuffix("_2")
    size = config.hidden_size
    folded = replace(config, family="bert", embedding_size=size, n_groups=1)
    shapes = dict(tensors.shapes) | {word: (config.vocab_size, size)}
    projected = Tensors(
        tensors.source,
        shapes,
        lambda name: tensors.read(word) @ tensors.read(narrow) if name == word else tensors.read(name),
    )
    weights = gather(folded, scheme, projected)
    weights["embeddings.projection.kernel"] = np.eye(size, dtype=np.float32)
    weights["embeddings.projection.bias"] = np.zeros(size, np.float32)
    return replace(folded, family="albert"), weights


def _message(error: Exception) -> str:
    return str(getattr(error, "message", error))
