"""What the peers on onnxruntime share: texts become labels on a graph that `quantise.py` wrote.

Runs in the environment of whichever peer imports it (onnxruntime, tokenizers, numpy).
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers

# Padded as they come, batches of 8 or 32 take 1.1 to 2 times the CPU of one text at a time (short ones) or 2.2 to 3.2
# times (mixed ones); so limited, 0.6 to 0.8 and 0.9 to 1.
MAX_BATCH = 8
MAX_STRETCH = 1.25


class Int8Model:
    """One session, one tokenizer."""

    def __init__(self, folder: str, n_threads: int = 0, graph: str = "model_quantized.onnx") -> None:
        """`n_threads` 0: one for each core that this process may use."""
        path = Path(folder)
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        self.labels = [config["id2label"][str(i)] for i in range(len(config["id2label"]))]
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(config["retort"]["max_seq_len"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads or len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path / graph), options, providers=["CPUExecutionProvider"])

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """A label and its probability for each text; texts of about the same length share a run."""
        encodings = [e.ids for e in self._tokenizer.encode_batch_fast(list(texts))]
        batches: list[list[int]] = []
        for row in sorted(range(len(encodings)), key=lambda i: len(encodings[i])):
            last = batches[-1] if batches else []
            if 0 < len(last) < MAX_BATCH and len(encodings[row]) <= MAX_STRETCH * len(encodings[last[0]]):
                last.append(row)
            else:
                batches.append([row])
        found: dict[int, tuple[str, float]] = {}
        for rows in batches:
            found |= zip(rows, self._run([encodings[row] for row in rows]), strict=True)
        return [found[row] for row in range(len(encodings))]

    def classify_one_by_one(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The same without a batch, so without padding."""
        return [answer for text in texts for answer in self._run([self._tokenizer.encode(text).ids])]

    def _run(self, encodings: Sequence[Sequence[int]]) -> list[tuple[str, float]]:
        shape = (len(encodings), max(map(len, encodings)))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding
            mask[row, : len(encoding)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        logits = self._session.run(["logits"], feed)[0]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        best = odds.argmax(axis=1)
        return [(self.labels[b], float(row[b] / row.sum())) for b, row in zip(best, odds, strict=True)]
