"""Batches become logits: the one place that knows the inference runtime."""

from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import openvino

from retort.artifact import Precision
from retort.engine.processors import count_processors
from retort.errors import BadArtifact
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch

_PRECISIONS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class Session(Protocol):
    """A model that is loaded and runs.  Threads may share it: `n_streams` of them run at once, others wait."""

    @property
    def n_streams(self) -> int:
        """How many batches run at the same time, each on one thread."""

    @property
    def max_batch_tokens(self) -> int:
        """The padded cost B * T beyond which a batch only waits longer."""

    def run(self, batch: Batch) -> Floats:
        """Logits (B, n_labels) of a batch (B, T)."""

    def close(self) -> None:
        """Give the memory back; `run` no longer works."""


class OpenvinoSession:
    """An ONNX file on OpenVINO's CPU kernels: one stream of one thread for each processor.

    Streams of one thread never wait for each other within a batch, so N small batches are done sooner than N times one
    batch on N threads.
    """

    max_batch_tokens = 512  # 1,024 measured the same, with twice the wait; 256 and 2,048 a tenth slower

    def __init__(self, path: Path, n_threads: int = 0, precision: Precision = "float32") -> None:
        """`n_threads` 0 means as many as the CPU quota.  `bfloat16` is float32 on a processor that lacks it.

        Raises BadArtifact: the file is missing or no graph that runs here.
        """
        if precision != native_precision():
            precision = "float32"
        self.n_streams = n_threads or count_processors()
        options = {
            "INFERENCE_NUM_THREADS": self.n_streams,
            "NUM_STREAMS": self.n_streams,
            "PERFORMANCE_HINT_NUM_REQUESTS": self.n_streams,
            "ENABLE_CPU_PINNING": False,  # pinned, the streams of two processes share one core and leave another idle
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],  # by itself it takes bfloat16 wherever it can
        }
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(path), "CPU", options)
            requests = [self._model.create_infer_request() for _ in range(self.n_streams)]
        except Exception as e:  # the runtime's own classes share no base but this
            raise BadArtifact(f"{path} is no ONNX model that runs here: {e}") from e
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for request in requests:
            self._idle.put(request)

    def run(self, batch: Batch) -> Floats:
        """Logits (B, n_labels) of a batch (B, T)."""
        request = self._idle.get()
        try:
            request.infer(
                {
                    "input_ids": batch.input_ids,
                    "attention_mask": batch.attention_mask,
                    "token_type_ids": batch.token_type_ids,
                },
                share_inputs=True,
            )
            return np.array(request.get_tensor("logits").data, np.float32)  # a copy: the next batch overwrites it
        finally:
            self._idle.put(request)

    def close(self) -> None:
        """Give the memory back; `run` no longer works."""
        del self._model, self._idle


def open_session(path: Path, n_threads: int = 0, precision: Precision = "float32") -> Session:
    """The session that serves an ONNX file; `n_threads` 0 means as many as the CPU quota.

    Raises BadArtifact: the file is missing or no graph that runs here.
    """
    return OpenvinoSession(path, n_threads, precision)


def native_precision() -> Precision:
    """The fastest precision that this processor computes in."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if "BF16" in capabilities else "float32"
