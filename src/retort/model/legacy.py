"""A folder trained by the older project becomes what an artifact is made of: `model.h5` and what lies beside it.

Its model: an encoder of `bert-for-tf2`, the first token's state, dense ReLU, dense softmax.  Nothing in it is run: the
HDF5 file is read for numbers, and the labels' numpy file by stand-ins that can hold strings and nothing else.
"""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights
from retort.model.checkpoint import load_vocabulary
from retort.model.configuration import GOOGLE_ACTIVATIONS, parse_config, read_json_object
from retort.model.google import find_google_config
from retort.model.names import Scheme, Tensors, gather
from retort.tokenization.tokenizer import Tokenizer

_LEAVES = {leaf: (f"{leaf}:0",) for leaf in ("kernel", "bias", "gamma", "beta")}
_EMBEDDINGS = {
    "embeddings.word": "embeddings/word_embeddings/embeddings:0",
    "embeddings.position": "embeddings/position_embeddings/embeddings:0",
    "embeddings.token_type": "embeddings/token_type_embeddings/embeddings:0",
    "embeddings.norm": "embeddings/LayerNorm",
    "embeddings.projection.kernel": "embeddings/word_embeddings_projector/projector:0",
    "embeddings.projection.bias": "embeddings/word_embeddings_projector/bias:0",
}
_LAYER = {
    "layer.{g}.attention.query": "attention/self/query",
    "layer.{g}.attention.key": "attention/self/key",
    "layer.{g}.attention.value": "attention/self/value",
    "layer.{g}.attention.output": "attention/output/dense",
    "layer.{g}.attention.norm": "attention/output/LayerNorm",
    "layer.{g}.ffn.intermediate": "intermediate",
    "layer.{g}.ffn.output": "output/dense",
    "layer.{g}.ffn.norm": "output/LayerNorm",
}
_LAYERS = {"bert": "encoder/layer_{g}/", "albert": "encoder/layer_shared/"}
LEGACY: dict[str, Scheme] = {
    family: Scheme(
        _EMBEDDINGS | {ours: layer + theirs for ours, theirs in _LAYER.items()} | {"pooler": "pooler"},
        _LEAVES,
        "/",
        transposed=False,
    )
    for family, layer in _LAYERS.items()
}


@dataclass(frozen=True, slots=True)
class Legacy:
    """A trained model of the older project; `weights` hold `pooler.*` (the dense ReLU) and `classifier.*` too.

    That project told its encoder nothing of padding: its texts attended to `[PAD]` up to `max_seq_len`.
    """

    name: str
    config: EncoderConfig
    weights: Weights
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    max_seq_len: int


def read_legacy(folder: Path) -> Legacy:
    """Read `config.json`, `label_encoder.npy`, `model.h5`, the encoder's configuration and its vocabulary.

    The last two may also lie in the folder that `config.json` names as `model_dir`.
    Raises BadCheckpoint, naming the file: it is missing, damaged or does not fit the others.
    """
    file = folder / "config.json"
    settings = read_json_object(file)
    max_seq_len = settings.get("max_seq_len")
    if type(max_seq_len) is not int or max_seq_len < 3:
        raise BadCheckpoint(f"{file}: expected `max_seq_len` to be a whole number of at least 3, got {max_seq_len!r}.")
    home, config_file, family = _find_encoder(folder, settings)
    config = parse_config(read_json_object(config_file), family, GOOGLE_ACTIVATIONS, config_file)
    if max_seq_len > config.max_positions:
        raise BadCheckpoint(
            f"{file}: max_seq_len {max_seq_len} is above the encoder's {config.max_positions} positions."
        )
    config = replace(config, pooling="cls", pooler_activation="relu")
    labels = read_labels(folder / "label_encoder.npy")
    weights = _read_weights(folder / "model.h5", config, len(labels))
    name = str(settings.get("model_type") or folder.name)
    return Legacy(name, config, weights, load_vocabulary(home, config.vocab_size), labels, max_seq_len)


def read_labels(file: Path) -> tuple[str, ...]:
    """The labels of a `numpy.save`d array of strings (n,), whether numpy wrote them as characters or as objects.

    Raises BadCheckpoint: the file is missing or damaged, or holds anything but one row of different strings.
    """
    try:
        with file.open("rb") as f:
            version = np.lib.format.read_magic(f)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(f)
            body = f.read()
        if dtype.kind not in "UO":
            raise ValueError(f"it holds {dtype}")
        found = _unpickle_strings(body) if dtype.kind == "O" else np.frombuffer(body, dtype).tolist()
    except (OSError, ValueError, EOFError, pickle.UnpicklingError, ArithmeticError, LookupError, TypeError) as e:
        raise BadCheckpoint(
            f"Cannot read {file}: {e}.  Expected labels as numpy.save wrote them, strings only; where you trust it, "
            "`numpy.save(file, numpy.load(file, allow_pickle=True).astype(str))` makes it so."
        ) from e
    if shape != (len(found),) or not found or len(set(found)) != len(found):
        raise BadCheckpoint(f"{file}: expected one row of different labels, got {len(found)} of shape {shape}.")
    return tuple(found)


class _StandIn:
    """Takes the place of numpy's array and dtype in a pickle: it keeps what it is given and does nothing."""

    def __init__(self, *arguments: object) -> None:
        self.state: Any = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _StringsOnly(pickle.Unpickler):
    """Knows the names that a pickled array of objects holds, none of which leads to code of its own."""

    _NAMES = ("_reconstruct", "ndarray", "dtype")

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in self._NAMES:
            return _StandIn
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and a row of labels needs no such thing")


def _unpickle_strings(body: bytes) -> list[str]:
    array = _StringsOnly(io.BytesIO(body)).load()
    items = array.state[-1] if isinstance(array, _StandIn) and isinstance(array.state, tuple) else None
    if not isinstance(items, list) or not all(type(item) is str for item in items):
        raise ValueError("it holds other things than strings")
    return items


def _find_encoder(folder: Path, settings: Mapping[str, Any]) -> tuple[Path, Path, str]:
    """The folder of encoder configuration and vocabulary, the configuration's file, and the family."""
    homes = [folder, folder / str(settings.get("model_dir", ""))]
    for home in homes:
        if found := find_google_config(home):
            return home, *found
    places = " and ".join(dict.fromkeys(str(home) for home in homes))
    raise BadCheckpoint(f"Looked for bert_config.json or albert_config.json in {places}; copy it to {folder}.")


def _read_weights(file: Path, config: EncoderConfig, n_labels: int) -> Weights:
    try:
        with h5py.File(file, "r") as f:
            root = f.get("model_weights", f)  # save() nests what save_weights() puts on top
            layers = [n.decode() if isinstance(n, bytes) else str(n) for n in root.attrs["layer_names"]]
            arrays: dict[str, np.ndarray] = {}
            for layer in layers:  # in the model's order
                _collect(root[layer], f"{layer}/", arrays)
    except (OSError, KeyError, RuntimeError, ValueError, AttributeError) as e:
        raise BadCheckpoint(f"Cannot read {file}: {e}.  Expected Keras weights in HDF5, as Keras 2 saved them.") from e
    scheme, source = LEGACY[config.family], str(file)
    word, types = scheme.modules["embeddings.word"], scheme.modules["embeddings.token_type"]
    if not any(name.endswith(types) for name in arrays):  # an encoder with one input adds no segment's embedding
        prefix = next((name.removesuffix(word) for name in arrays if name.endswith(word)), "")
        arrays[prefix + types] = np.zeros((config.n_token_types, config.embedding_size), np.float32)
    shapes = {name: array.shape for name, array in arrays.items()}
    encoder = gather(config, scheme, Tensors(source, shapes, arrays.__getitem__))
    return encoder | _read_head(source, arrays, config.hidden_size, n_labels)


def _collect(group: h5py.Group, prefix: str, arrays: dict[str, np.ndarray]) -> None:
    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[prefix + name] = np.asarray(item[()])

    group.visititems(visit)


def _read_head(source: str, arrays: Mapping[str, np.ndarray], size: int, n_labels: int) -> Weights:
    """The two dense layers on the encoder, in the model's order."""
    kernels = [name for name in arrays if name.endswith("/kernel:0") and "/encoder/" not in name]
    shapes = {"pooler": (size, size), "classifier": (size, n_labels)}
    found = [arrays[name].shape for name in kernels]
    if found != list(shapes.values()):
        raise BadCheckpoint(
            f"{source}: expected two dense layers after the encoder, of shapes {list(shapes.values())} (the last for "
            f"{n_labels} labels), got {found}."
        )
    weights: Weights = {}
    for module, kernel in zip(shapes, kernels, strict=True):
        bias = arrays.get(kernel.removesuffix("kernel:0") + "bias:0")
        if bias is None or bias.shape != shapes[module][1:]:
            raise BadCheckpoint(f"{source}: {kernel} has no bias of shape {shapes[module][1:]} beside it.")
        weights[f"{module}.kernel"] = np.asarray(arrays[kernel], np.float32)
        weights[f"{module}.bias"] = np.asarray(bias, np.float32)
    return weights
