"""Encodings and targets become an epoch's batches: grouped by length, in an order that seed and epoch decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retort.tasks.base import Targets
from retort.tokenization.batch import Batch, collate
from retort.tokenization.encoding import Encoding

BATCHES_PER_GROUP = 50  # texts are sorted by length within so many batches: enough for little padding, few for chance
NO_TARGET = -1  # where a token's label is not read


@dataclass(frozen=True, slots=True)
class Examples:
    """What is learned from: each encoding with its target.

    The target of a text is an int or (n_labels,) float32, and its windows carry the same; that of tokens is
    (T_i,) int64, `NO_TARGET` where no label is read.
    """

    encodings: Sequence[Encoding]
    targets: Targets | Sequence[Targets]

    def __len__(self) -> int:
        return len(self.encodings)

    def batch(self, rows: Sequence[int] | npt.NDArray[np.int64], pad_id: int) -> tuple[Batch, Targets]:
        """The examples of `rows`, padded to the longest of them, with targets (B, ...)."""
        batch, targets = collate([self.encodings[i] for i in rows], pad_id), [self.targets[i] for i in rows]
        if not _are_of_tokens(targets):
            return batch, np.stack(targets)
        padded = np.full(batch.input_ids.shape, NO_TARGET, np.int64)
        for row, target in zip(padded, targets, strict=True):
            row[: len(target)] = target
        return batch, padded


def n_batches(n_examples: int, batch_size: int) -> int:
    """Batches in an epoch; the last may be smaller."""
    return -(-n_examples // batch_size)


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[npt.NDArray[np.int64]]:
    """Indices of each batch of an epoch: every example once, batches of similar lengths, in shuffled order.

    The same seed and epoch give the same batches.  At most one batch is smaller than `batch_size`.
    """
    generator = np.random.default_rng([seed, epoch])
    order, lengths_of = generator.permutation(len(lengths)), np.asarray(lengths)
    size = batch_size * BATCHES_PER_GROUP
    batches: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), size):
        group = order[start : start + size]
        group = group[np.argsort(lengths_of[group], kind="stable")]
        batches += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def balanced_class_weights(targets: Targets | Sequence[Targets], n_labels: int) -> npt.NDArray[np.float32]:
    """What each label must weigh for all to count the same, (n_labels,).

    One label a text or token: N / (n_labels * count).  Several: texts without the label for each text with it.
    """
    if not isinstance(targets, np.ndarray):
        targets = np.concatenate(targets) if _are_of_tokens(targets) else np.stack(targets)
    if targets.ndim == 2:
        n_with = targets.sum(axis=0)
        return np.asarray((len(targets) - n_with) / np.maximum(n_with, 1), np.float32)
    counts = np.bincount(targets[targets != NO_TARGET], minlength=n_labels)
    return np.asarray(counts.sum() / (n_labels * np.maximum(counts, 1)), np.float32)


def _are_of_tokens(targets: Sequence[Targets]) -> bool:
    return targets[0].ndim == 1 and bool(np.issubdtype(targets[0].dtype, np.integer))
