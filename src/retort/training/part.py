"""One split as a model sees it: rows become inputs, encodings and targets, and logits become an evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retort.data.readers import Row
from retort.tasks import Decoding, Input, Task
from retort.tasks.base import Floats, Targets
from retort.tokenization.encoding import Encoding
from retort.training.evaluate import Evaluation, average_windows, evaluate


@dataclass(frozen=True)
class Part:
    """One split as a model sees it."""

    rows: list[Row]
    inputs: list[Input]
    encodings: list[list[Encoding]]
    targets: Targets

    @property
    def n_truncated(self) -> int:
        """Inputs of which something was left out."""
        return sum(any(e.truncated for e in windows) for windows in self.encodings)

    def logits(self, run: Callable[[Sequence[Encoding]], Floats | Sequence[Floats]]) -> Floats:
        """Logits or features (N, ...) of each input, its windows averaged."""
        found = run([e for windows in self.encodings for e in windows])
        return average_windows(np.asarray(found, np.float32), [*map(len, self.encodings)])

    def evaluate(self, task: Task, logits: Floats, decoding: Decoding) -> Evaluation:
        """What `logits` (N, n_labels) are worth on this split."""
        return evaluate(task, logits, self.targets, decoding, self.inputs, [row.line for row in self.rows])
