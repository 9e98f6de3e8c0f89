"""Examples per second of one training step: Retort against PyTorch with `transformers`.

    python benchmarks/training_speed.py [--seq-len 64] [--batch-size 32] [--rounds 10] [--peer-python PYTHON]

A step is forward, backward, clipping and AdamW on the default encoder with 77 labels.  All sides take turns, a few
steps each, so that whatever else the machine does falls on all of them.  Prints medians and ratios and writes
`benchmarks/results/training_speed.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from peers.environment import peer_python
from retort.config import TrainSettings
from retort.data.sources import resolve_encoder
from retort.model.checkpoint import load_checkpoint
from retort.model.classifier import Classifier
from retort.model.encoder import Encoder
from retort.model.heads import PooledHead
from retort.tokenization.batch import Batch
from retort.training.step import TrainStep

HERE = Path(__file__).parent
N_LABELS = 77
STEPS_A_TURN = 4
Run = Callable[[int], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--precisions", nargs="+", default=["bfloat16", "float32"])
    parser.add_argument("--peer-python", type=Path, help="A Python with torch and transformers.")
    args = parser.parse_args()
    folder = resolve_encoder(args.model)
    peer = Peer(args.peer_python or peer_python("hf"), folder, args.batch_size, args.seq_len)
    runs: dict[str, Run] = {}
    for precision in args.precisions:
        runs[f"retort {precision}"] = ours(folder, precision, args.batch_size, args.seq_len)
        runs[f"transformers {precision}"] = lambda n, precision=precision: peer.run(precision, n)
    for run in runs.values():
        run(3)  # tracing, thread pools, memory
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            seconds[name] += run(STEPS_A_TURN)
    peer.close()
    report(seconds, args.batch_size)


def ours(folder: Path, precision: str, batch_size: int, seq_len: int) -> Run:
    """Steps of our own, as `fit` takes them."""
    checkpoint = load_checkpoint(folder)
    encoder = Encoder(checkpoint.config, checkpoint.weights, precision)
    step = TrainStep(Classifier(encoder, PooledHead(checkpoint.config, N_LABELS, "softmax", {})), TrainSettings())
    rng = np.random.default_rng(0)
    ones = np.ones((batch_size, seq_len), np.int64)
    batch = Batch(rng.integers(1000, 30000, ones.shape), ones, 0 * ones)
    targets = rng.integers(0, N_LABELS, batch_size)
    done = 0

    def run(n_steps: int) -> list[float]:
        nonlocal done
        found = []
        for _ in range(n_steps):
            start = time.perf_counter()
            step(batch, targets, 1e-5, done)
            found.append(time.perf_counter() - start)
            done += 1
        return found

    return run


class Peer:
    """`peers/hf_step.py` in a process of its own."""

    def __init__(self, python: Path, folder: Path, batch_size: int, seq_len: int) -> None:
        command = [str(python), str(HERE / "peers" / "hf_step.py"), "--model", str(folder)]
        command += ["--batch-size", str(batch_size), "--seq-len", str(seq_len), "--n-labels", str(N_LABELS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, precision: str, n_steps: int) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{precision} {n_steps}\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


def report(seconds: dict[str, list[float]], batch_size: int) -> None:
    medians = {name: batch_size / statistics.median(s) for name, s in seconds.items()}
    bests = {name: batch_size / min(s) for name, s in seconds.items()}
    print(f"{'examples/s':24} {'median':>8} {'best':>8}")
    for name in seconds:
        print(f"{name:24} {medians[name]:8.1f} {bests[name]:8.1f}")
    for name in seconds:
        side, _, precision = name.partition(" ")
        if side == "retort":
            other = f"transformers {precision}"
            ratios = [medians[name] / medians[other], bests[name] / bests[other]]
            print(f"{precision}: {ratios[0]:.2f} times the peer's (best against best {ratios[1]:.2f})")
    out = HERE / "results" / "training_speed.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"tensorflow": tf.__version__, "median": medians, "best": bests}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
