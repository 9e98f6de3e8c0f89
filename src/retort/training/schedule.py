"""How fast training learns at each step.  Plain numbers."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rates between `max_learn_rate` and `min_learn_rate`.

    `linear`: each step; up from 0 over the first `warmup_proportion` of the steps, then straight down to the minimum.
    `exponential`: each epoch; up in equal strides over `warmup_proportion` of the epochs, then a constant factor an
    epoch, such that an epoch after the last would have the minimum (a thousandth of the maximum where that is 0).
    """

    kind: str
    max_learn_rate: float
    min_learn_rate: float
    warmup_proportion: float
    n_epochs: int
    steps_per_epoch: int

    @property
    def n_steps(self) -> int:
        """Steps of the whole training."""
        return self.n_epochs * self.steps_per_epoch

    def learn_rate(self, step: int) -> float:
        """The rate of step number `step`, counted from 0."""
        return {"linear": self._linear, "exponential": self._exponential}[self.kind](step)

    def _linear(self, step: int) -> float:
        n_warmup = round(self.warmup_proportion * self.n_steps)
        if step < n_warmup:
            return self.max_learn_rate * (step + 1) / (n_warmup + 1)
        left = (self.n_steps - step) / max(1, self.n_steps - n_warmup)
        return self.min_learn_rate + (self.max_learn_rate - self.min_learn_rate) * left

    def _exponential(self, step: int) -> float:
        epoch = step // self.steps_per_epoch
        n_warmup = max(1, round(self.warmup_proportion * self.n_epochs))  # so that the maximum is reached
        if epoch < n_warmup:
            return self.max_learn_rate * (epoch + 1) / n_warmup
        lowest = min(self.min_learn_rate or self.max_learn_rate / 1000, self.max_learn_rate)
        share = (epoch - n_warmup + 1) / (self.n_epochs - n_warmup + 1)
        return self.max_learn_rate * math.pow(lowest / self.max_learn_rate, share)
