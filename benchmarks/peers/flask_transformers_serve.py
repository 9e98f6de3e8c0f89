"""Peers of `serving.py`: Flask around `transformers` and PyTorch in fp32, as most projects start.

`--padded`: the older way, each text padded to 128 tokens, which are what it was trained with; longer ones are cut.
Without: the pipeline, which pads a list to its longest and a single text not at all.

Runs in the environment `hf`, under gunicorn with one worker of 8 threads (with 1 it was slower, with 2 the same);
PyTorch has one thread for each core.
"""

import argparse
import os

import torch
from flask import Flask, jsonify, request
from gunicorn.app.base import BaseApplication
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

PADDED_LENGTH = 128


def build_app(folder: str, padded: bool) -> Flask:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    app = Flask(__name__)

    def predict_padded(texts: list[str]) -> tuple[list[str], list[float]]:
        encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=PADDED_LENGTH, return_tensors="pt")
        with torch.inference_mode():
            best = model(**encoded).logits.softmax(-1).max(-1)
        return [model.config.id2label[i] for i in best.indices.tolist()], best.values.tolist()

    def predict_unpadded(texts: list[str]) -> tuple[list[str], list[float]]:
        found = classify(texts, truncation=True, batch_size=32)
        return [f["label"] for f in found], [f["score"] for f in found]

    @app.post("/predict")
    def predict() -> object:
        labels, scores = (predict_padded if padded else predict_unpadded)(request.get_json()["x"])
        return jsonify(predictions=labels, probabilities=scores)

    return app


class Server(BaseApplication):
    """One worker, which loads the model after the fork."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        super().__init__()

    def load_config(self) -> None:
        self.cfg.set("bind", f"127.0.0.1:{self.args.port}")
        self.cfg.set("worker_class", "gthread")
        self.cfg.set("threads", self.args.threads)
        self.cfg.set("timeout", 120)
        self.cfg.set("keepalive", 30)

    def load(self) -> Flask:
        return build_app(self.args.model, self.args.padded)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--padded", action="store_true")
    parser.add_argument("--threads", type=int, default=8)
    Server(parser.parse_args()).run()
