"""The pointer: which artifact serves.  People edit it by hand, so whatever is wrong with it is said."""

import contextlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retort.disk import read_json, sync, write_json
from retort.errors import BadArtifact

FILE = "latest_model_config.json"


@dataclass(frozen=True, slots=True)
class Pointer:
    """`latest_model_config.json`: the default model at the top level, further ones by name under `models`."""

    model_dir: str  # relative to the models folder, or absolute
    model_type: str  # the model's name, for people
    max_seq_len: int | None = None  # serve shorter than trained


def read_pointer(models_dir: Path) -> Pointer:
    """Read `latest_model_config.json`.

    Raises BadArtifact: it is missing, no JSON, or lacks `model_dir`.
    """
    file = models_dir / FILE
    content = read_json(file)
    model_dir, max_seq_len = content.get("model_dir"), content.get("max_seq_len")
    if not isinstance(model_dir, str) or not model_dir:
        raise BadArtifact(f"{file} has no `model_dir`; expected the model's folder, such as `trained/2026…_minilm`.")
    if max_seq_len is not None and (type(max_seq_len) is not int or max_seq_len < 3):
        raise BadArtifact(f"{file}: expected `max_seq_len` to be a whole number of at least 3, got {max_seq_len!r}.")
    return Pointer(model_dir, str(content.get("model_type", "")), max_seq_len)


def write_pointer(models_dir: Path, pointer: Pointer) -> None:
    """Replace the pointer atomically; further models that the file names are kept."""
    file = models_dir / FILE
    content: dict[str, Any] = {
        "model_dir": pointer.model_dir,
        "model_type": pointer.model_type,
        "max_seq_len": pointer.max_seq_len,
    }
    with contextlib.suppress(BadArtifact, KeyError):  # no pointer yet, or a damaged one: nothing to keep
        content |= {"models": read_json(file)["models"]}
    draft = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    try:
        write_json(draft, content)
        sync(draft)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    sync(models_dir)
