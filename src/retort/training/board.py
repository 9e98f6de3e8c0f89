"""Training as TensorBoard events: loss, learning rate, scores, per-label F1, confusion matrix, a sample of errors."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import tensorflow as tf

from retort.training.card import cell
from retort.training.charts import draw_confusion, readable
from retort.training.evaluate import Evaluation

if TYPE_CHECKING:
    from retort.training.trainer import Epoch

N_ERRORS = 20


class Board:
    """A listener that writes event files under `folder`; `evaluate` gives what the latest epoch was worth.

    Use it as a context; within, trouble with the files is an OSError.
    """

    def __init__(self, folder: Path, evaluate: Callable[[], Evaluation] | None = None) -> None:
        self._evaluate = evaluate
        self._writer = tf.summary.create_file_writer(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._writer.close()
        except tf.errors.OpError as e:
            error = error or e
        if isinstance(error, tf.errors.OpError):
            raise OSError(None, f"TensorBoard's events: {error.message}") from error

    def on_step(self, step: int, n_steps: int, loss: float, learn_rate: float, examples_per_s: float) -> None:
        """Loss, learning rate and speed of one step."""
        with self._writer.as_default(step):
            tf.summary.scalar("train/loss", loss)
            tf.summary.scalar("train/learn_rate", learn_rate)
            tf.summary.scalar("train/examples_per_s", examples_per_s)

    def on_epoch(self, epoch: "Epoch", is_best: bool) -> None:
        """The validation scores after one epoch."""
        with self._writer.as_default(epoch.step):
            for name, value in epoch.scores.items():
                tf.summary.scalar(f"validation/{name}", value)
        self._writer.flush()
        if self._evaluate:
            self.on_evaluation("validation", self._evaluate(), epoch.step)

    def on_evaluation(self, split: str, evaluation: Evaluation, step: int) -> None:
        """What `split` looks like after `step` steps: F1 of each label, the confusion matrix, the surest errors."""
        with self._writer.as_default(step):
            for score in evaluation.labels:
                tf.summary.scalar(f"{split} F1/{readable(score.label, 60).replace('/', '∕')}", score.f1)
            tf.summary.text(f"{split}/errors", _table(evaluation))
            png = tf.io.decode_png(draw_confusion(evaluation), channels=3)
            tf.summary.image(f"{split}/confusion_matrix", png[None])
        self._writer.flush()


def _table(evaluation: Evaluation) -> str:
    rows = [
        f"| {e.probability:.3f} | {cell(e.text, 300)} | {cell(', '.join(e.gold))} | {cell(', '.join(e.predicted))} |"
        for e in evaluation.errors[:N_ERRORS]
    ]
    return "\n".join(["| sure | text | label | predicted |", "|---:|---|---|---|", *rows])
