"""The peer of `cold_start.py`: Flask around a `transformers` pipeline, as tutorials set it up.

Runs in the peers' own environment (torch, transformers, flask).
"""

import argparse

from flask import Flask, jsonify, request
from transformers import pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    classify = pipeline("text-classification", model=args.model)
    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> object:
        found = classify(request.get_json()["x"], truncation=True)
        return jsonify(predictions=[f["label"] for f in found], probabilities=[f["score"] for f in found])

    app.run(port=args.port)


if __name__ == "__main__":
    main()
