"""A linear chain over tags: scores of each word's tags become the best legal sequence, and how probable its spans are.

The score of a sequence is the sum of what its words give their tags (emissions) and of what the chain gives its start,
its moves from tag to tag, and its end.  Source: Lafferty et al. 2001, Conditional Random Fields.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Tags = npt.NDArray[np.int64]
WordSpan = tuple[int, int, int]  # first word, the word behind the last one, index of the type's B tag

FORBIDDEN = -1e4  # a move with so low a score is none: no emission makes up for it
DEEPEST = 300.0  # nats below a word's best tag from which probabilities see no difference; e^-600 is still a float


@dataclass(frozen=True, eq=False)
class Chain:
    """Log scores: `transitions` (L, L) from row to column, `start` (L,) and `end` (L,)."""

    transitions: Scores
    start: Scores
    end: Scores

    @classmethod
    def for_tags(cls, tags: Sequence[str]) -> "Chain":
        """Every sequence that BIO allows scores 0: `I-x` follows `B-x` and `I-x` alone."""
        legal = np.array([[_follows(tag, before) for tag in tags] for before in tags])
        first = np.array([not tag.startswith("I-") for tag in tags])
        free = np.zeros(len(tags), np.float32)
        return cls(np.where(legal, free, np.float32(FORBIDDEN)), np.where(first, free, np.float32(FORBIDDEN)), free)

    @classmethod
    def from_json(cls, value: object, n_tags: int) -> "Chain":
        """Read what `to_json` wrote.  Raises ValueError: it is nothing of the kind, or not for so many tags."""
        shapes = {"transitions": (n_tags, n_tags), "start": (n_tags,), "end": (n_tags,)}
        if not isinstance(value, dict) or value.keys() != shapes.keys():
            raise ValueError(f"expected a chain's {', '.join(shapes)}")
        scores = {name: np.asarray(value[name], np.float32) for name in shapes}
        if any(scores[name].shape != shapes[name] or not np.isfinite(scores[name]).all() for name in shapes):
            raise ValueError(f"expected a chain's scores for {n_tags} tags")
        return cls(**scores)

    def to_json(self) -> dict[str, list[float]]:
        """Lists of numbers."""
        return {name: np.asarray(getattr(self, name)).tolist() for name in ("transitions", "start", "end")}

    def soften(self, temperature: float) -> "Chain":
        """The chain for emissions that were divided by `temperature`; what was forbidden stays so."""

        def divide(scores: Scores) -> Scores:
            return np.where(scores > FORBIDDEN, scores / temperature, FORBIDDEN)

        return replace(self, transitions=divide(self.transitions), start=divide(self.start), end=divide(self.end))

    def viterbi(self, emissions: Scores) -> Tags:
        """The tags (n,) of highest score for finite emissions (n, L); always a legal sequence."""
        best: Tags = emissions.argmax(axis=-1)
        if not len(best) or (self._is_free and self._allows(best)):
            return best
        moves, start, end = self._logs
        scores = emissions[0] + start
        came_from = np.empty(emissions.shape, np.int64)
        for word in range(1, len(emissions)):
            reached = scores[:, None] + moves
            reached.argmax(axis=0, out=came_from[word])
            scores = reached.max(axis=0) + emissions[word]
        best[-1] = (scores + end).argmax()
        for word in range(len(best) - 1, 0, -1):
            best[word - 1] = came_from[word, best[word]]
        return best

    def log_likelihood(self, emissions: Scores, tags: Sequence[int] | Tags) -> float:
        """log p(tags) in nats for finite emissions (n, L); -inf for a forbidden sequence, 0 for no words."""
        if not len(emissions):
            return 0.0
        moves, start, end = self._logs
        wide, path = np.asarray(emissions, np.float64), np.asarray(tags)
        total = wide[np.arange(len(path)), path].sum() + moves[path[:-1], path[1:]].sum()
        total += start[path[0]] + end[path[-1]]
        scores = wide[0] + start
        for row in wide[1:]:
            scores = np.logaddexp.reduce(scores[:, None] + moves, axis=0) + row
        return min(0.0, float(total - np.logaddexp.reduce(scores + end)))  # rounding may say more than 0

    def span_probabilities(self, emissions: Scores, spans: Sequence[WordSpan]) -> Doubles:
        """How probable each span is by itself, summed over all tags of the words around it, (n_spans,).

        A span (s, e, b) holds where word s has tag b (a type's B), the words up to e - 1 have b + 1 (its I), and word e
        has not.  Emissions (n, L) are finite; the spans lie within them.
        """
        if not spans:
            return np.zeros(0)
        moves, _, _ = weights = self._weights
        likely = _likely(emissions)
        before, behind, scales = _pass_both_ways(likely, *weights)
        found = np.empty(len(spans))
        for i, (start, end, tag) in enumerate(spans):
            inside, last = tag + 1, tag if end == start + 1 else tag + 1
            probability = before[start, tag]
            for word in range(start + 1, end):
                step = moves[tag if word == start + 1 else inside, inside]
                probability *= step * likely[word, inside] / scales[word]
            if end == len(likely):
                found[i] = probability * behind[-1, last]
                continue
            goes_on = moves[last] * likely[end] * behind[end]
            goes_on[inside] = 0
            found[i] = probability * goes_on.sum() / scales[end]
        return np.minimum(found, 1.0)

    @cached_property
    def _logs(self) -> tuple[Doubles, Doubles, Doubles]:
        """Transitions, start and end, -inf where forbidden."""
        given = (np.asarray(scores, np.float64) for scores in (self.transitions, self.start, self.end))
        moves, start, end = (np.where(scores > FORBIDDEN, scores, -np.inf) for scores in given)
        return moves, start, end

    @cached_property
    def _weights(self) -> tuple[Doubles, Doubles, Doubles]:
        moves, start, end = map(np.exp, self._logs)
        return moves, start, end

    @cached_property
    def _is_free(self) -> bool:
        """Whether it only allows or forbids, so that words may be decided one by one where the outcome is legal."""
        return all(bool(((scores == 0) | np.isneginf(scores)).all()) for scores in self._logs)

    def _allows(self, tags: Tags) -> bool:
        moves, start, end = self._logs
        return bool(start[tags[0]] == 0 and end[tags[-1]] == 0 and (moves[tags[:-1], tags[1:]] == 0).all())


def _follows(tag: str, before: str) -> bool:
    return not tag.startswith("I-") or before in (tag, f"B-{tag[2:]}")


def _likely(emissions: Scores) -> Doubles:
    """Emissions (n, L) as factors: 1 for a word's best tag."""
    wide = np.asarray(emissions, np.float64)
    found: Doubles = np.exp(np.maximum(wide - wide.max(axis=1, keepdims=True), -DEEPEST))
    return found


def _pass_both_ways(likely: Doubles, moves: Doubles, start: Doubles, end: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """What precedes each tag of each word, scaled to sum 1 (n, L); what follows it (n, L), so that their product is the
    tag's probability; and the scales (n,)."""
    n = len(likely)
    before, behind, scales = np.empty_like(likely), np.empty_like(likely), np.empty(n)
    row = start * likely[0]
    for word in range(n):
        if word:
            row = (row @ moves) * likely[word]
        scales[word] = scale = row.sum()
        row /= scale
        before[word] = row
    behind[-1] = row = end / (row @ end)
    for word in range(n - 1, 0, -1):
        row = moves @ (row * likely[word])
        row /= scales[word]
        behind[word - 1] = row
    return before, behind, scales
