"""The training loop: examples and settings change a model's variables; the best epoch's stay.

Order, dropout and learning rate follow from seed and step alone, so training that was killed goes on as if it had not
been.  How it looks on a terminal is the listener's business.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from retort.config import TrainSettings
from retort.errors import TrainingFailed
from retort.model.classifier import Classifier
from retort.training.checkpoints import Checkpoints, State
from retort.training.dataset import Examples, balanced_class_weights, epoch_batches, n_batches
from retort.training.schedule import Schedule
from retort.training.step import Arrays, TrainStep

Scores = dict[str, float]


class Listener(Protocol):
    """Who wants to know how training goes."""

    def on_step(self, step: int, n_steps: int, loss: float, learn_rate: float, examples_per_s: float) -> None:
        """Step number `step` of `n_steps`, from 1, is done."""

    def on_epoch(self, epoch: "Epoch", is_best: bool) -> None:
        """An epoch is done and was validated."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch as it went: `number` from 1, `loss` averaged over its examples, `seconds` validation included."""

    number: int
    step: int
    loss: float
    learn_rate: float
    seconds: float
    scores: Scores


@dataclass
class Progress:
    """Where training stands, in values that JSON can hold."""

    step: int = 0
    n_examples: int = 0  # of this epoch
    loss_sum: float = 0.0  # over them
    seconds: float = 0.0  # of this epoch, spent on steps
    total_examples: int = 0
    total_seconds: float = 0.0
    best_epoch: int = 0  # 0: none yet
    best_score: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of training; the model holds the weights of `best_epoch`."""

    history: tuple[Epoch, ...]
    best_epoch: int
    examples_per_s: float  # of the steps alone
    stopped_early: bool


def fit(
    model: Classifier,
    examples: Examples,
    settings: TrainSettings,
    validate: Callable[[], Scores],
    listener: Listener | None = None,
    checkpoints: Checkpoints | None = None,
) -> Fitted:
    """Train `model` in place.  The first of `validate`'s scores selects the best epoch; higher is better.

    With `settings.resume` training goes on from the latest of `checkpoints`, if there is one; else they are cleared.
    Raises TrainingFailed: the loss is no number any more, or the checkpoints cannot be written.
    """
    return Trainer(model, examples, settings, validate, listener, checkpoints).run()


class Trainer:
    """The state of one training."""

    def __init__(
        self,
        model: Classifier,
        examples: Examples,
        settings: TrainSettings,
        validate: Callable[[], Scores],
        listener: Listener | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self._model, self._examples, self._settings = model, examples, settings
        self._validate, self._listener, self._checkpoints = validate, listener, checkpoints
        self._schedule = Schedule(
            settings.schedule,
            settings.max_learn_rate,
            settings.min_learn_rate,
            settings.warmup_proportion,
            settings.n_epochs,
            n_batches(len(examples), settings.batch_size),
        )
        self._lengths = [len(e) for e in examples.encodings]
        self._pad_id = model.encoder.config.pad_token_id
        balanced = settings.class_weights == "balanced"
        weights = balanced_class_weights(examples.targets, model.head.n_labels) if balanced else None
        self._step = TrainStep(model, settings, weights)
        self._best: Arrays = {}
        self._progress = Progress()

    def run(self) -> Fitted:
        """Train to the end, or until patience is over."""
        self._start()
        p, n_steps = self._progress, self._schedule.n_steps
        while p.step < n_steps and not self._is_patience_over():
            self._run_epoch()
        self._step.restore(self._best)
        return Fitted(
            tuple(Epoch(**e) for e in p.history),
            p.best_epoch,
            p.total_examples / max(p.total_seconds, 1e-9),
            stopped_early=p.step < n_steps,
        )

    def _start(self) -> None:
        if self._checkpoints is None:
            return
        state = self._checkpoints.load() if self._settings.resume else None
        if state is None:
            self._checkpoints.clear()
            return
        self._progress = Progress(**state.values)
        self._step.restore(state.arrays)
        if self._progress.best_epoch:
            self._best = dict(self._checkpoints.load_best(self._progress.best_epoch))

    def _run_epoch(self) -> None:
        p, per_epoch = self._progress, self._schedule.steps_per_epoch
        epoch, done = divmod(p.step, per_epoch)
        batches = epoch_batches(self._lengths, self._settings.batch_size, self._settings.seed, epoch)
        for rows in batches[done:]:
            self._run_step(rows)
            if self._checkpoints and p.step % per_epoch and self._checkpoints.is_due():
                self._save()
        self._end_epoch(epoch + 1)

    def _run_step(self, rows: npt.NDArray[np.int64]) -> None:
        p, start = self._progress, time.perf_counter()
        batch, targets = self._examples.batch(rows, self._pad_id)
        learn_rate = self._schedule.learn_rate(p.step)
        loss = self._step(batch, targets, learn_rate, p.step)
        if not np.isfinite(loss):
            raise TrainingFailed(
                f"The loss became {loss} in step {p.step + 1}: training diverged. Try a smaller --max-learn-rate than "
                f"{self._settings.max_learn_rate:g}, a longer --warmup-proportion, or --precision float32."
            )
        seconds = time.perf_counter() - start
        p.step, p.n_examples, p.loss_sum = p.step + 1, p.n_examples + len(rows), p.loss_sum + loss * len(rows)
        p.seconds, p.total_seconds = p.seconds + seconds, p.total_seconds + seconds
        p.total_examples += len(rows)
        if self._listener:
            speed = p.total_examples / p.total_seconds
            self._listener.on_step(p.step, self._schedule.n_steps, loss, learn_rate, speed)

    def _end_epoch(self, number: int) -> None:
        p, start = self._progress, time.perf_counter()
        scores = self._validate()
        score = next(iter(scores.values()))
        is_best = not p.best_epoch or score > p.best_score
        learn_rate = self._schedule.learn_rate(p.step - 1)
        seconds = p.seconds + time.perf_counter() - start
        epoch = Epoch(number, p.step, p.loss_sum / p.n_examples, learn_rate, seconds, scores)
        p.history.append(dataclasses.asdict(epoch))
        p.n_examples, p.loss_sum, p.seconds = 0, 0.0, 0.0
        if is_best:
            p.best_epoch, p.best_score, self._best = number, score, self._step.weights()
        if self._checkpoints:
            if is_best:
                self._checkpoints.save_best(number, self._best)
            self._save()
        if self._listener:
            self._listener.on_epoch(epoch, is_best)

    def _save(self) -> None:
        assert self._checkpoints is not None  # noqa: S101
        self._checkpoints.save(State(self._step.state(), dataclasses.asdict(self._progress)))

    def _is_patience_over(self) -> bool:
        patience, p = self._settings.early_stopping_patience, self._progress
        return bool(patience) and len(p.history) - p.best_epoch >= patience
