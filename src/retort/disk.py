"""Files that are read and written so that damage is named, and synced so that a power cut loses nothing."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from retort.errors import BadArtifact


def sha256(file: Path) -> str:
    """Hex.  Raises BadArtifact: it cannot be read."""
    try:
        with file.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise BadArtifact(f"Cannot read {file}: {e.strerror}.") from e


def read_bytes(file: Path) -> bytes:
    """The whole file.  Raises BadArtifact: it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as e:
        raise BadArtifact(f"Cannot read {file}: {e.strerror}.") from e


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.  Raises BadArtifact: it cannot be read, or holds none."""
    try:
        content = json.loads(read_bytes(file))
    except ValueError as e:
        raise BadArtifact(f"{file} is not JSON: {e}.") from e
    if not isinstance(content, dict):
        raise BadArtifact(f"{file}: expected a JSON object, got {type(content).__name__}.")
    return content


def write_json(file: Path, content: object) -> None:
    """Write `content` for people to read."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
