"""Batches become logits: the one place that knows the inference runtime."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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

MAX_OWN = 4
_PRECISIONS = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


class Session(Protocol):
    """A model that is loaded and runs.  Threads may share it: `n_streams` of them run at once, others wait."""

    @property
    def n_streams(self) -> int:
        """How many batches run at the same time, each on one thread."""

    @property
    def max_batch_tokens(self) -> int:
        """The padded cost B * T beyond which a batch only waits longer."""

    def run(self, batch: Batch, stream: int | None = None) -> Floats:
        """Logits (B, n_labels) of a batch (B, T), or (B, T, n_labels) where tokens are labelled; by the given stream or
        by any that is free."""

    def close(self) -> None:
        """Give the memory back; `run` no longer works."""


class OpenvinoSession:
    """An ONNX file on OpenVINO's CPU kernels: a stream for each processor.

    Streams of one thread never wait for each other within a batch, so N small batches are done sooner than N times one
    batch on N threads.  Up to `MAX_OWN` streams have a compiled model each: it runs in the thread that asks, and stays
    prepared for the shape that it ran last; preparing anew for each batch costs as much as 25 tokens.  More streams
    share one model, because each of them keeps weights in the processor's own layout.
    """

    # Of 256 to 4,096, this and 1,024 were the fastest; beyond, activations no longer fit the processor's caches.
    max_batch_tokens = 512

    def __init__(self, path: Path, n_threads: int = 0, precision: Precision = "float32") -> None:
        """`n_threads` 0 means as many as the CPU quota.  `bfloat16` is float32 on a processor that lacks it.

        Raises BadArtifact: the file is missing or no graph that runs here.
        """
        if precision != native_precision():
            precision = "float32"
        self.n_streams = n_threads or count_processors()
        n_models = self.n_streams if self.n_streams <= MAX_OWN else 1
        try:
            core = openvino.Core()
            graph = core.read_model(path)
            compile_one = partial(core.compile_model, graph, "CPU", _options(self.n_streams // n_models, precision))
            with ThreadPoolExecutor(n_models) as pool:
                models = list(pool.map(lambda _: compile_one(), range(n_models)))
            self._inputs = [given.get_any_name() for given in graph.inputs]
            self._requests = [models[stream % n_models].create_infer_request() for stream in range(self.n_streams)]
        except Exception as e:  # the runtime's own classes share no base but this
            raise BadArtifact(f"{path} is no ONNX model that runs here: {e}") from e
        self._turns = [threading.Lock() for _ in self._requests]
        self._free: SimpleQueue[int] = SimpleQueue()
        for stream in range(self.n_streams):
            self._free.put(stream)

    def run(self, batch: Batch, stream: int | None = None) -> Floats:
        """Logits (B, n_labels) of a batch (B, T), by the given stream or by any that is free."""
        if stream is None:
            stream = self._free.get()
            try:
                return self.run(batch, stream)
            finally:
                self._free.put(stream)
        request = self._requests[stream]
        with self._turns[stream]:
            request.infer({name: getattr(batch, name) for name in self._inputs}, share_inputs=True)
            return np.array(request.get_tensor("logits").data, np.float32)  # a copy: the next batch overwrites it

    def close(self) -> None:
        """Give the memory back; `run` no longer works."""
        del self._requests, self._free


def _options(n_streams: int, precision: Precision) -> dict[str, object]:
    return {
        "INFERENCE_NUM_THREADS": n_streams,
        "NUM_STREAMS": n_streams,
        "PERFORMANCE_HINT_NUM_REQUESTS": n_streams,
        "ENABLE_CPU_PINNING": False,  # pinned, the streams of two processes share one core and leave another idle
        "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],  # by itself it takes bfloat16 wherever it can
    }


def open_session(path: Path, n_threads: int = 0, precision: Precision = "float32") -> Session:
    """The session that serves an ONNX file; `n_threads` 0 means as many as the CPU quota.

    Raises BadArtifact: the file is missing or no graph that runs here.
    """
    return OpenvinoSession(path, n_threads, precision)


def native_precision() -> Precision:
    """The fastest precision that this processor computes in."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if "BF16" in capabilities else "float32"
