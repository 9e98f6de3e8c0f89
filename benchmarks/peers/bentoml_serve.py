"""A peer of `serving.py`: BentoML, adaptive batching, on onnxruntime's dynamic int8.

Runs in the environment `bentoml`: one worker with two inference threads, batches of up to 32 texts (64 were about as
fast).  `max_latency_ms` is BentoML's default, a minute: with a second it refused requests under load.
"""

import argparse
import os
import sys

import bentoml

FOLDER = os.environ.get("PEER_MODEL", "")
THREADS = int(os.environ.get("PEER_THREADS", "2"))
BATCH = int(os.environ.get("PEER_BATCH", "32"))
LATENCY_MS = int(os.environ.get("PEER_LATENCY_MS", "60000"))


@bentoml.service(workers=1, traffic={"timeout": 120, "max_concurrency": 100000})
class Model:
    """Texts become labels, in batches that it gathers."""

    def __init__(self) -> None:
        from int8_model import Int8Model

        self._model = Int8Model(FOLDER, THREADS)

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MS)
    def predict(self, x: list[str]) -> list[str]:
        return [label for label, _ in self._model.classify(x)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--batch", default="32")
    parser.add_argument("--latency-ms", default="60000")
    args = parser.parse_args()
    os.environ |= {
        "PEER_MODEL": args.model,
        "PEER_THREADS": args.threads,
        "PEER_BATCH": args.batch,
        "PEER_LATENCY_MS": args.latency_ms,
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),  # noqa: PTH100, PTH120
    }
    os.chdir(os.environ["PYTHONPATH"])
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "bentoml_serve:Model",
        "--host",
        "127.0.0.1",
        "--port",
        args.port,
    ]
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    main()
