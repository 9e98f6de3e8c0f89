"""Every server that `serving.py` compares: how it is started, asked and understood."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.environment import peer_python

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Server:
    """`program` is a file of this folder, run in `environment`; without one, it is Retort."""

    name: str
    title: str
    environment: str = ""
    program: str = ""
    options: Sequence[str] = ()
    path: str = "/predict"
    body: Callable[[Sequence[str]], Any] = lambda texts: {"x": list(texts)}
    labels: Callable[[Any], list[str]] = lambda answer: list(answer["predictions"])

    def command(self, models_dir: Path, folder: Path, port: int) -> list[str]:
        """`folder` is the model's, prepared for peers.

        Raises CalledProcessError: its environment cannot be installed.
        """
        if not self.program:
            wanted = ["--models-dir", str(models_dir), "--port", str(port)]
            return [sys.executable, "-m", "retort", "serve", *wanted, *self.options]
        wanted = ["--model", str(folder), "--port", str(port)]
        return [str(peer_python(self.environment)), str(_HERE / self.program), *wanted, *self.options]

    def encode(self, texts: Sequence[str]) -> bytes:
        """The body of a request."""
        return json.dumps(self.body(texts)).encode()

    def decode(self, body: bytes) -> list[str]:
        """The labels of an answer."""
        return self.labels(json.loads(body))


SERVERS = (
    Server("retort", "Retort"),
    Server("padded", "Flask + transformers, padded to 128", "hf", "flask_transformers_serve.py", ["--padded"]),
    Server("pipeline", "Flask + transformers pipeline", "hf", "flask_transformers_serve.py"),
    Server("careful", "Flask + onnxruntime int8, careful", "ort", "flask_int8_serve.py"),
    Server(
        "careful_threads",
        "the same with threads (gthread)",
        "ort",
        "flask_int8_serve.py",
        ["--worker-class", "gthread", "--threads", "4"],
    ),
    Server("litserve", "LitServe int8", "litserve", "litserve_serve.py"),
    Server("bentoml", "BentoML int8", "bentoml", "bentoml_serve.py", labels=list),
    Server(
        "infinity",
        "Infinity int8",
        "infinity",
        "infinity_serve.py",
        path="/classify",
        body=lambda texts: {"model": "banking77", "input": list(texts)},
        labels=lambda answer: [max(scores, key=lambda s: s["score"])["label"] for scores in answer["data"]],
    ),
    Server(
        "mlserver",
        "MLServer int8",
        "mlserver",
        "mlserver_serve.py",
        path="/v2/models/banking77/infer",
        body=lambda texts: {
            "inputs": [{"name": "x", "shape": [len(texts), 1], "datatype": "BYTES", "data": list(texts)}]
        },
        labels=lambda answer: list(answer["outputs"][0]["data"]),
    ),
    Server("ray", "Ray Serve int8", "ray", "ray_serve.py"),
)
