"""Scores of predicted spans against true ones, and what became of each.  Spans are equal when both ends and label are.

For each text there is one list of true spans and one of predicted ones; within a list none overlap.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from retort.data.spans import Span
from retort.tasks.metrics import Ints, precision_recall_f1

Fate = Literal["right", "wrong type", "wrong boundaries", "wrong type and boundaries", "missed", "invented"]
FATES: tuple[Fate, ...] = ("right", "wrong type", "wrong boundaries", "wrong type and boundaries", "missed", "invented")
Spans = Sequence[Sequence[Span]]


class Counts(NamedTuple):
    """Per type, each (n_types,): true spans, predicted ones, and those that are both."""

    support: Ints
    n_predicted: Ints
    n_correct: Ints


class Match(NamedTuple):
    """A true span and the predicted one that stands for it; one of them is None where nothing does."""

    gold: Span | None
    predicted: Span | None

    @property
    def fate(self) -> Fate:
        """What became of it."""
        if self.predicted is None:
            return "missed"
        if self.gold is None:
            return "invented"
        same_type = self.gold.label == self.predicted.label
        if self.gold[:2] == self.predicted[:2]:
            return "right" if same_type else "wrong type"
        return "wrong boundaries" if same_type else "wrong type and boundaries"


def count_spans(golds: Spans, predictions: Spans, types: Sequence[str]) -> Counts:
    """True, predicted and right spans of each of `types`.  Raises KeyError: a span has another."""
    index = {kind: i for i, kind in enumerate(types)}
    counts = np.zeros((3, len(types)), np.int64)
    for gold, predicted in zip(golds, predictions, strict=True):
        true, found = set(gold), set(predicted)
        for row, spans in enumerate((true, found, true & found)):
            for span in spans:
                counts[row, index[span.label]] += 1
    return Counts(*counts)


def score_counts(counts: Counts) -> dict[str, float]:
    """f1, precision, recall (over all spans), macro_f1 (over types present in either); 0 where nothing is to divide.

    They are those of seqeval in strict mode.
    """
    support, n_predicted, n_correct = (np.asarray([each.sum()]) for each in counts)
    precision, recall, f1 = precision_recall_f1(n_correct, n_predicted, support)
    of_types = precision_recall_f1(counts.n_correct, counts.n_predicted, counts.support)[2]
    present = counts.support + counts.n_predicted > 0
    return {
        "f1": float(f1[0]),
        "precision": float(precision[0]),
        "recall": float(recall[0]),
        "macro_f1": float(of_types[present].mean()) if present.any() else 0.0,
    }


def match_spans(gold: Sequence[Span], predicted: Sequence[Span]) -> list[Match]:
    """Each span of one text in exactly one match, in the text's order.

    Equal spans go together first, then those with the same ends, then those that share most characters.
    """
    free_gold, free_predicted = dict.fromkeys(gold), dict.fromkeys(predicted)
    matches: list[Match] = []
    for true, found in sorted(_overlaps(gold, predicted), key=_distance):
        if true in free_gold and found in free_predicted:
            matches.append(Match(true, found))
            del free_gold[true], free_predicted[found]
    matches += [Match(span, None) for span in free_gold] + [Match(None, span) for span in free_predicted]
    return sorted(matches, key=lambda match: match.gold or match.predicted or ())


def count_fates(matches: Iterable[Match]) -> dict[str, int]:
    """How often each of `FATES`."""
    found = Counter(match.fate for match in matches)
    return {kind: found[kind] for kind in FATES}


def confuse_types(matches: Iterable[Match], types: Sequence[str]) -> Ints:
    """Counts (n_types + 1, n_types + 1): rows are true, columns predicted, the last of each is no span at all.

    Boundaries do not matter here, so the diagonal may hold more than is right.
    """
    index = {kind: i for i, kind in enumerate(types)}
    table = np.zeros((len(types) + 1, len(types) + 1), np.int64)
    for gold, predicted in matches:
        table[tuple(len(types) if span is None else index[span.label] for span in (gold, predicted))] += 1
    return table


def _overlaps(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    return ((a, b) for a in gold for b in predicted if a.start < b.end and b.start < a.end)


def _distance(pair: tuple[Span, Span]) -> tuple[bool, bool, int, bool]:
    """Least where spans are equal; of equally distant pairs the first in the text comes first, as it came."""
    gold, predicted = pair
    shared = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return gold != predicted, gold[:2] != predicted[:2], -shared, gold.label != predicted.label
