"""A tiny training that a test can repeat, interrupt and kill: as functions, and as a process of its own.

    python tiny_training.py CHECKPOINT_DIR [--resume]

prints `step <n>` after each step and, at the end, the SHA-256 of the final weights.
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # `artifacts`, where pytest does not look for it

from artifacts import random_weights, tiny_config
from retort.config import TrainSettings
from retort.model.architecture import Weights
from retort.model.classifier import Classifier
from retort.model.encoder import Encoder
from retort.model.heads import PooledHead
from retort.tokenization.encoding import Encoding
from retort.training.checkpoints import Checkpoints
from retort.training.dataset import Examples
from retort.training.trainer import Epoch, Fitted, fit

FINGERPRINT = "0123abcd"


def tiny_model(precision: str = "float32", **changes: Any) -> Classifier:
    config = tiny_config()
    weights = random_weights(config, scale=0.3)
    encoder = Encoder(config, weights, precision, **changes)
    return Classifier(encoder, PooledHead(config, 3, "softmax", {}))


def tiny_examples(n: int = 50, seed: int = 0) -> Examples:
    """Texts of different lengths; the label shows in a token that most of them have."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, n)
    encodings = []
    for target in targets:
        ids = rng.integers(5, 60, rng.integers(1, 12))
        ids[rng.integers(0, len(ids))] = 70 + target
        encodings.append(Encoding([2, *ids.tolist(), 3], len(ids) + 2))
    return Examples(encodings, targets)


def tiny_settings(**changes: Any) -> TrainSettings:
    return TrainSettings(**({"n_epochs": 3, "batch_size": 8, "max_learn_rate": 3e-3, "dropout": 0.1} | changes))


def accuracy_on(model: Classifier, examples: Examples) -> Callable[[], dict[str, float]]:
    def validate() -> dict[str, float]:
        predicted = np.stack(model.predict_logits(examples.encodings)).argmax(-1)
        return {"accuracy": float((predicted == examples.targets).mean())}

    return validate


def digest(weights: Weights) -> str:
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].tobytes())
    return found.hexdigest()


class Listener:
    """Calls `at_step` with the number of each step."""

    def __init__(self, at_step: Callable[[int], None] = lambda step: None) -> None:
        self.at_step, self.losses, self.rates = at_step, list[float](), list[float]()
        self.epochs: list[tuple[Epoch, bool]] = []

    def on_step(self, step: int, n_steps: int, loss: float, learn_rate: float, examples_per_s: float) -> None:
        self.losses.append(loss)
        self.rates.append(learn_rate)
        self.at_step(step)

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self.epochs.append((epoch, is_best))


def train_tiny(
    checkpoint_dir: Path | None, listener: Listener, every_s: float = 0.0, **changes: Any
) -> tuple[str, Fitted]:
    """The digest of the final weights, and what `fit` says; a state is saved after every step."""
    model, examples = tiny_model(), tiny_examples()
    checkpoints = Checkpoints(checkpoint_dir, FINGERPRINT, every_s, share_of_time=1e9) if checkpoint_dir else None
    fitted = fit(model, examples, tiny_settings(**changes), accuracy_on(model, examples), listener, checkpoints)
    return digest(model.export_weights()), fitted


if __name__ == "__main__":
    tell = Listener(lambda step: print("step", step, flush=True))
    print(train_tiny(Path(sys.argv[1]), tell, resume="--resume" in sys.argv)[0])
