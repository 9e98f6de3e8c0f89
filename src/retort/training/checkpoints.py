"""Unfinished training on disk: arrays and a few plain values, written so that a kill at any moment does no harm.

<folder>/state-<number>.safetensors   the two latest states; metadata: what is plain, and the arrays' SHA-256
<folder>/best-<epoch>.safetensors     the best epoch's weights, in the same form; the two latest
"""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from retort.disk import sync
from retort.errors import TrainingFailed

Arrays = Mapping[str, npt.NDArray[Any]]
N_KEPT = 2


@dataclass(frozen=True, slots=True)
class State:
    """`arrays` by name, and `values` that JSON can hold."""

    arrays: Arrays
    values: dict[str, Any]


class Checkpoints:
    """The states of one training, in `<checkpoint_dir>/<fingerprint>/`.

    One is due every `every_s` seconds, or more rarely where saving would take more than `share_of_time`.
    """

    def __init__(
        self, checkpoint_dir: Path, fingerprint: str, every_s: float = 60.0, share_of_time: float = 0.05
    ) -> None:
        self.folder = checkpoint_dir / fingerprint
        self._every_s, self._pause_s, self._share = every_s, every_s, share_of_time
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return time.monotonic() - self._saved_at >= self._pause_s

    def save(self, state: State) -> None:
        """Write a new state, then drop all but it and the one before.

        Raises TrainingFailed: the disk is full or the folder cannot be written.
        """
        start = time.monotonic()
        self._write("state", max(self._numbers("state"), default=0) + 1, state)
        for kind in ("state", "best"):
            for old in self._numbers(kind)[:-N_KEPT]:
                self._file(kind, old).unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._pause_s = max(self._every_s, (self._saved_at - start) / self._share)

    def save_best(self, epoch: int, arrays: Arrays) -> None:
        """Write the best epoch's weights; to be done before the state that counts on them.

        Raises TrainingFailed as `save` does.
        """
        self._write("best", epoch, State(arrays, {}))

    def load(self) -> State | None:
        """The latest whole state, if there is one."""
        found = (_read(self._file("state", number)) for number in reversed(self._numbers("state")))
        return next((state for state in found if state is not None), None)

    def load_best(self, epoch: int) -> Arrays:
        """The weights that `save_best` wrote after that epoch.

        Raises TrainingFailed: they are gone or damaged.
        """
        if (state := _read(self._file("best", epoch))) is None:
            raise TrainingFailed(f"{self._file('best', epoch)} is missing or damaged; train again without --resume.")
        return state.arrays

    @property
    def exist(self) -> bool:
        """Whether there is anything to go on from."""
        return bool(self._numbers("state"))

    def clear(self) -> None:
        """Forget this training, at once: a kill leaves no half of it."""
        gone = self.folder.with_name(f".{self.folder.name}-gone")
        with contextlib.suppress(OSError):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError):  # other trainings are still there
            self.folder.parent.rmdir()

    def _file(self, kind: str, number: int) -> Path:
        return self.folder / f"{kind}-{number:06d}.safetensors"

    def _numbers(self, kind: str) -> list[int]:
        found = (file.stem.removeprefix(f"{kind}-") for file in self.folder.glob(f"{kind}-*.safetensors"))
        return sorted(int(number) for number in found if number.isdecimal())

    def _write(self, kind: str, number: int, state: State) -> None:
        draft = self.folder / f"draft-{kind}"  # one name, so that what a kill left behind is written over
        arrays = {name: np.ascontiguousarray(a) for name, a in state.arrays.items()}
        metadata = {"values": json.dumps(state.values), "sha256": _digest(arrays)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(arrays, draft, metadata)
            sync(draft)
            draft.replace(self._file(kind, number))
            sync(self.folder)
        except (OSError, SafetensorError) as e:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            n_bytes = sum(a.nbytes for a in arrays.values())
            raise TrainingFailed(
                f"Cannot save unfinished training to {self.folder} ({e}); it needs {n_bytes / 2**20:.0f} MiB and four "
                "times as much over time. Free some space or choose another --checkpoint-dir, then go on with --resume."
            ) from e


def _read(file: Path) -> State | None:
    """What a file holds; None where it is torn, damaged or missing."""
    try:
        with safe_open(file, framework="numpy") as f:
            metadata = f.metadata()
            arrays = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 - not a dict
        return State(arrays, json.loads(metadata["values"])) if metadata["sha256"] == _digest(arrays) else None
    except (OSError, SafetensorError, ValueError, TypeError, KeyError):
        return None


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
