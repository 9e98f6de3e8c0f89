import random

import pytest
from seqeval.scheme import IOB2, Entities

from retort.data.spans import Span
from retort.data.tags import extract_spans, list_tags
from retort.tasks.entity_metrics import (
    FATES,
    Match,
    confuse_types,
    count_fates,
    count_spans,
    match_spans,
    score_counts,
)

TYPES = ("a", "b", "c-d")


def spans(*found: tuple[int, int, str]) -> list[Span]:
    return [Span(*span) for span in found]


def random_tags(rng: random.Random, n_words: int) -> list[str]:
    return rng.choices(list_tags(TYPES), weights=[3, *[1] * 6], k=n_words)


def matches_of(golds: list[list[Span]], predictions: list[list[Span]]) -> list[Match]:
    return [m for gold, predicted in zip(golds, predictions, strict=True) for m in match_spans(gold, predicted)]


def test_scores_are_those_of_seqeval_in_strict_mode() -> None:
    rng = random.Random(0)  # noqa: S311
    for _ in range(100):
        lengths = [rng.randrange(1, 12) for _ in range(rng.randrange(1, 8))]
        true, predicted = ([random_tags(rng, n) for n in lengths] for _ in range(2))
        counts = count_spans([*map(extract_spans, true)], [*map(extract_spans, predicted)], TYPES)
        found, guessed = (
            {e.to_tuple() for sentence in Entities(tags, IOB2).entities for e in sentence} for tags in (true, predicted)
        )
        scores, f1s = score_counts(counts), []
        for i, kind in enumerate(TYPES):
            of_type, guessed_of_type = ({e for e in entities if e[1] == kind} for entities in (found, guessed))
            n_right = len(of_type & guessed_of_type)
            assert [column[i] for column in counts] == [len(of_type), len(guessed_of_type), n_right]
            if of_type | guessed_of_type:
                f1s.append(2 * n_right / (len(of_type) + len(guessed_of_type)))
        n_right = len(found & guessed)
        assert [*scores] == ["f1", "precision", "recall", "macro_f1"]
        assert scores["precision"] == pytest.approx(n_right / max(1, len(guessed)))
        assert scores["recall"] == pytest.approx(n_right / max(1, len(found)))
        assert scores["f1"] == pytest.approx(2 * n_right / max(1, len(found) + len(guessed)))
        assert scores["macro_f1"] == pytest.approx(sum(f1s) / max(1, len(f1s)))


def test_without_spans_every_score_is_nothing() -> None:
    assert set(score_counts(count_spans([[]], [[]], TYPES)).values()) == {0.0}


@pytest.mark.parametrize(
    ("gold", "predicted", "fates"),
    [
        (spans((0, 3, "a")), spans((0, 3, "a")), ["right"]),
        (spans((0, 3, "a")), spans((0, 3, "b")), ["wrong type"]),
        (spans((0, 3, "a")), spans((0, 5, "a")), ["wrong boundaries"]),
        (spans((0, 3, "a")), spans((2, 5, "b")), ["wrong type and boundaries"]),
        (spans((0, 3, "a")), [], ["missed"]),
        ([], spans((0, 3, "a")), ["invented"]),
        (spans((0, 3, "a")), spans((3, 5, "a")), ["missed", "invented"]),
        # two against one: the closer one counts, the other is left over
        (spans((0, 3, "a"), (4, 9, "a")), spans((0, 9, "a")), ["missed", "wrong boundaries"]),
        (spans((0, 9, "a")), spans((0, 3, "a"), (4, 9, "a")), ["invented", "wrong boundaries"]),
        (spans((0, 4, "a"), (4, 8, "b")), spans((0, 8, "b")), ["missed", "wrong boundaries"]),
        (spans((0, 6, "a"), (6, 9, "a")), spans((5, 9, "a")), ["missed", "wrong boundaries"]),
        (spans((0, 3, "b"), (5, 8, "a")), spans((0, 8, "a")), ["missed", "wrong boundaries"]),
        (spans((0, 3, "a"), (5, 8, "a")), spans((0, 3, "a")), ["right", "missed"]),
        (spans((0, 5, "a"), (5, 9, "a")), spans((2, 5, "a"), (5, 9, "a")), ["wrong boundaries", "right"]),
    ],
)
def test_every_span_has_one_fate(gold: list[Span], predicted: list[Span], fates: list[str]) -> None:
    assert [match.fate for match in match_spans(gold, predicted)] == fates


def test_fates_and_confusions_add_up_to_the_counts() -> None:
    rng = random.Random(1)  # noqa: S311
    for _ in range(200):
        golds, predictions = ([extract_spans(random_tags(rng, 10)) for _ in range(3)] for _ in range(2))
        counts, matches = count_spans(golds, predictions, TYPES), matches_of(golds, predictions)
        fates, table = count_fates(matches), confuse_types(matches, TYPES)
        assert [*fates] == [*FATES]
        assert fates["right"] == counts.n_correct.sum()
        assert sum(fates.values()) - fates["invented"] == counts.support.sum()
        assert sum(fates.values()) - fates["missed"] == counts.n_predicted.sum()
        assert table[:-1].sum(axis=1).tolist() == counts.support.tolist()
        assert table[:, :-1].sum(axis=0).tolist() == counts.n_predicted.tolist()
        assert (table[:-1, -1].sum(), table[-1, :-1].sum(), table[-1, -1]) == (fates["missed"], fates["invented"], 0)
        assert table.trace() == fates["right"] + fates["wrong boundaries"]


def test_confusions_are_true_types_by_predicted_ones() -> None:
    matches = [
        Match(Span(0, 1, "a"), Span(0, 1, "b")),
        Match(Span(2, 3, "c-d"), None),
        Match(None, Span(4, 5, "b")),
    ]
    assert confuse_types(matches, TYPES).tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]]


def test_a_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(KeyError):
        count_spans([spans((0, 1, "x"))], [[]], TYPES)
