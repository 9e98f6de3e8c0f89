"""The tensors of a folder's safetensors, one file or several.  Pickles are refused: reading them may run code."""

from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (teaches numpy bfloat16, which safetensors may hold)
import numpy as np
from safetensors import SafetensorError, safe_open

from retort.errors import BadCheckpoint
from retort.model.configuration import read_json_object
from retort.model.names import Tensors

_FLOATS = ("F64", "F32", "F16", "BF16")


def open_safetensors(folder: Path) -> Tensors:
    """The tensors of `model.safetensors`, or of the shards that `model.safetensors.index.json` names."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        files = [single]
    elif index.is_file():
        files = [folder / name for name in _shards(index)]
    elif pickles := sorted(folder.glob("pytorch_model*.bin")):
        raise BadCheckpoint(
            f"{pickles[0]} is a pickle, which may run code when it is read; Retort reads safetensors only.  Where "
            "PyTorch is installed, save the model again with `save_pretrained(folder, safe_serialization=True)`."
        )
    else:
        raise BadCheckpoint(f"{folder} holds no model.safetensors.")
    homes: dict[str, Path] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        for name, shape in _shapes(file).items():
            homes[name], shapes[name] = file, shape
    return Tensors(str(single if len(files) == 1 else index), shapes, lambda name: _read(homes[name], name))


def _shards(index: Path) -> list[str]:
    names: Any = read_json_object(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise BadCheckpoint(f"{index} is damaged: expected a `weight_map` object.")
    shards = sorted({str(name) for name in names.values()})
    for name in shards:
        if Path(name).name != name:
            raise BadCheckpoint(f"{index} names the shard {name!r}; expected a file of the same folder.")
    return shards


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="np") as f:
            slices = {name: f.get_slice(name) for name in f.keys()}  # noqa: SIM118 (the handle is no mapping)
            return {name: tuple(s.get_shape()) for name, s in slices.items() if s.get_dtype() in _FLOATS}
    except (OSError, SafetensorError) as e:
        raise BadCheckpoint(f"Cannot read {file}: {e}") from e


def _read(file: Path, name: str) -> np.ndarray:
    try:
        with safe_open(file, framework="np") as f:
            return np.asarray(f.get_tensor(name))
    except (OSError, SafetensorError) as e:
        raise BadCheckpoint(f"Cannot read {name} in {file}: {e}") from e
