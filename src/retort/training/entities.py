"""Entities against true spans become an Evaluation: scores, what became of each span, and the commonest errors."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from retort.data.spans import Span
from retort.tasks.base import Entity, Floats
from retort.tasks.entity_metrics import Match, confuse_types, count_fates, count_spans, match_spans, score_counts
from retort.tasks.metrics import expected_calibration_error
from retort.training.evaluate import Bools, ConfidentError, Evaluation, fill_bins, score_labels

NOTHING = "(nothing)"
N_CONTEXT = 60  # characters shown on either side of an error


class Piece(NamedTuple):
    """A stretch of a text that is wholly in the true span or not, and wholly in the predicted one or not."""

    text: str
    is_gold: bool = False
    is_predicted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanError(ConfidentError):
    """The same error as often as it was made, and the surest instance of it.

    `gold` and `predicted` have at most one entry, `what is covered: type`.  `probability` is 0 where nothing was
    predicted.  `pieces` are `text`, which is the span with its surroundings.
    """

    fate: str
    count: int
    pieces: tuple[Piece, ...]


class _Instance(NamedTuple):
    match: Match
    probability: float
    of_text: int  # its index

    def name(self, texts: Sequence[str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Instances of equal names are one error."""
        text = texts[self.of_text]
        gold, predicted = (() if s is None else (f"{text[s.start : s.end]}: {s.label}",) for s in self.match)
        return self.match.fate, gold, predicted


def evaluate_entities(
    golds: Sequence[Sequence[Span]],
    predictions: Sequence[Sequence[Entity]],
    types: Sequence[str],
    texts: Sequence[str],
    lines: Sequence[int] | None = None,
    n_errors: int = 30,
    *,
    ece_before: float | None = None,
) -> Evaluation:
    """Everything measured of the entities found in N texts; `lines` are those of their file.

    Confidences are of predicted entities, and one is right where both ends and type are.  `ece_before` is what
    `calibration_error` gives without a temperature; not given, there was none.  The `n_errors` commonest are kept.
    Raises ValueError: the lengths differ, or there is nothing to evaluate; KeyError: a type is not among `types`.
    """
    if not len(golds) == len(predictions) == len(texts) or not len(texts):
        raise ValueError(
            f"Expected as many golds, predictions as texts: {len(golds)}, {len(predictions)}, {len(texts)}."
        )
    found = [[_span(entity) for entity in entities] for entities in predictions]
    counts = count_spans(golds, found, types)
    matches = [match_spans(*pair) for pair in zip(golds, found, strict=True)]
    flat = [match for each in matches for match in each]
    confidences, correct = _decisions(golds, predictions)
    ece = expected_calibration_error(confidences, correct)
    return Evaluation(
        n=len(texts),
        scores={**score_counts(counts), "ece": ece},
        labels=score_labels(types, counts.n_correct, counts.n_predicted, counts.support),
        confusion=confuse_types(flat, types),
        reliability=fill_bins(confidences, correct),
        ece_before=ece if ece_before is None else ece_before,
        errors=_collect_errors(_instances(matches, predictions), texts, lines, n_errors),
        nothing=NOTHING,
        fates=count_fates(flat),
    )


def calibration_error(golds: Sequence[Sequence[Span]], predictions: Sequence[Sequence[Entity]]) -> float:
    """How far the entities' probabilities are from how often they are exactly right."""
    return expected_calibration_error(*_decisions(golds, predictions))


def _decisions(golds: Sequence[Sequence[Span]], predictions: Sequence[Sequence[Entity]]) -> tuple[Floats, Bools]:
    pairs = [(e, _span(e) in gold) for gold, found in zip(golds, predictions, strict=True) for e in found]
    return np.array([e.probability for e, _ in pairs], np.float32), np.array([right for _, right in pairs], np.bool_)


def _span(entity: Entity) -> Span:
    return Span(entity.start, entity.end, entity.label)


def _instances(matches: Sequence[Sequence[Match]], predictions: Sequence[Sequence[Entity]]) -> Iterable[_Instance]:
    """Every error."""
    for index, (found, entities) in enumerate(zip(matches, predictions, strict=True)):
        probabilities: dict[Span | None, float] = {_span(entity): entity.probability for entity in entities}
        for match in found:
            if match.fate != "right":
                yield _Instance(match, probabilities.get(match.predicted, 0.0), index)


def _collect_errors(
    instances: Iterable[_Instance], texts: Sequence[str], lines: Sequence[int] | None, n_errors: int
) -> tuple[SpanError, ...]:
    """The commonest first; of those that were made as often, the surest."""
    groups: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[_Instance]] = {}
    for instance in instances:
        groups.setdefault(instance.name(texts), []).append(instance)
    surest = {name: max(group, key=lambda i: i.probability) for name, group in groups.items()}
    names = sorted(groups, key=lambda name: (-len(groups[name]), -surest[name].probability))[:n_errors]
    errors: list[SpanError] = []
    for name in names:
        (fate, gold, predicted), one = name, surest[name]
        pieces = _cut(texts[one.of_text], one.match)
        errors.append(
            SpanError(
                text="".join(piece.text for piece in pieces),
                gold=gold,
                predicted=predicted,
                probability=one.probability,
                line=None if lines is None else int(lines[one.of_text]),
                fate=fate,
                count=len(groups[name]),
                pieces=pieces,
            )
        )
    return tuple(errors)


def _cut(text: str, match: Match) -> tuple[Piece, ...]:
    """The spans of a match and whole words around them."""
    spans = [span for span in match if span]
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    begin, end = max(0, first - N_CONTEXT), min(len(text), last + N_CONTEXT)
    if begin and (space := re.search(r"\s", text[begin:first])):
        begin += space.end()
    if end < len(text) and (space := re.search(r"\s\S*\Z", text[last:end])):
        end = last + space.start()
    cuts = sorted({begin, end, *(s.start for s in spans), *(s.end for s in spans)})
    inside = [Piece(text[a:b], *(s is not None and s.start <= a < s.end for s in match)) for a, b in pairwise(cuts)]
    return (*[Piece("… ")] * (begin > 0), *inside, *[Piece(" …")] * (end < len(text)))
