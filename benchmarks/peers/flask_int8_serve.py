"""The peer of `serving.py` to beat, a careful engineer's: Flask, onnxruntime, dynamic int8, unpadded, no batching.

Runs in the environment `ort`, under gunicorn with two workers, each with a session of one thread: on two cores two
texts at once are faster than one text on both.  The texts of a list run in groups of about the same length.
"""

import argparse

from flask import Flask, jsonify, request
from gunicorn.app.base import BaseApplication
from int8_model import Int8Model


def build_app(folder: str) -> Flask:
    model = Int8Model(folder, n_threads=1)
    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> object:
        found = model.classify(request.get_json()["x"])
        return jsonify(predictions=[label for label, _ in found], probabilities=[score for _, score in found])

    return app


class Server(BaseApplication):
    """Workers that each load the model after the fork."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", f"127.0.0.1:{self.args.port}")
        self.cfg.set("workers", self.args.workers)
        self.cfg.set("worker_class", self.args.worker_class)
        self.cfg.set("threads", self.args.threads)
        self.cfg.set("timeout", 120)
        self.cfg.set("keepalive", 30)

    def load(self) -> Flask:
        return build_app(self.args.model)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker-class", default="sync")
    parser.add_argument("--threads", type=int, default=1)
    Server(parser.parse_args()).run()
