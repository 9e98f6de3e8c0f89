"""Batches become logits: the one place that knows the inference runtime."""

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from retort.engine.processors import count_processors
from retort.errors import BadArtifact
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch


class Session(Protocol):
    """A model that is loaded and runs.  Threads may share it."""

    def run(self, batch: Batch) -> Floats:
        """Logits (B, n_labels) of a batch (B, T)."""

    def close(self) -> None:
        """Give the memory back; `run` no longer works."""


class OnnxSession:
    """An ONNX file on onnxruntime's CPU kernels."""

    def __init__(self, path: Path, n_threads: int = 0) -> None:
        """`n_threads` 0 means as many as the CPU quota.

        Raises BadArtifact: the file is missing or no graph that runs here.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads or count_processors()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # its warnings are about what it optimises
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores free
        try:
            self._runtime = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # the runtime's own classes share no base but this
            raise BadArtifact(f"{path} is no ONNX model that runs here: {e}") from e

    def run(self, batch: Batch) -> Floats:
        """Logits (B, n_labels) of a batch (B, T)."""
        feed = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "token_type_ids": batch.token_type_ids,
        }
        return np.asarray(self._runtime.run(["logits"], feed)[0], np.float32)

    def close(self) -> None:
        """Give the memory back; `run` no longer works."""
        del self._runtime
