"""The labels that all servers are compared with: onnxruntime on `model.onnx`, fp32, one text at a time.

    python benchmarks/peers/fp32_labels.py FOLDER < texts.json > labels.json

Runs in the environment `ort`.
"""

import json
import sys

from int8_model import Int8Model

if __name__ == "__main__":
    model = Int8Model(sys.argv[1], graph="model.onnx")
    json.dump([label for label, _ in model.classify_one_by_one(json.load(sys.stdin))], sys.stdout)
