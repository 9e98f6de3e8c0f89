"""Answers come in order, and neither length nor company nor threads change them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artifacts import tiny_artifact, tiny_tokenizer
from retort.engine.loading import load_predictor
from retort.engine.predictor import Predictor, run_encodings
from retort.engine.session import open_session
from retort.errors import InvalidInput, TooManyTokens
from retort.tasks import Input
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch
from retort.tokenization.encoding import Encoding

TEXTS = [
    "",
    " ",
    "how to sort a list",
    "java",
    "join " * 100,
    "你好 é 👍🏽 \u200d\u0000 \ufeff",
    "[SEP] [CLS] [MASK]",
    "x" * 5000,
    "a\tb\nc\r\nd\u2028e",
    "ﷺ ⅷ ﬁ ‮evil",
    "e" + "\u0301" * 50,
]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return load_predictor(tiny_artifact(tmp_path_factory.mktemp("models")), n_threads=1)


def probabilities(predictor: Predictor, texts: list[str]) -> Floats:
    """(N, 3), columns in the order of the labels."""
    answers = predictor.predict([Input(text) for text in texts]).answers
    return np.array([[p for _, p in sorted(a.prediction.ranked)] for a in answers])


def test_a_text_is_answered_alike_alone_and_in_any_company(predictor: Predictor) -> None:
    alone = np.concatenate([probabilities(predictor, [text]) for text in TEXTS])
    np.testing.assert_allclose(probabilities(predictor, TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(probabilities(predictor, TEXTS[::-1])[::-1], alone, atol=1e-5)


def test_thousands_of_texts_come_back_in_their_order(predictor: Predictor) -> None:
    rng = np.random.default_rng(0)
    picked = rng.integers(0, len(TEXTS), 4000)
    alone = probabilities(predictor, TEXTS)
    np.testing.assert_allclose(probabilities(predictor, [TEXTS[i] for i in picked]), alone[picked], atol=1e-5)


def test_threads_get_the_answers_that_one_gets(predictor: Predictor) -> None:
    lists = [TEXTS[i % 7 :] for i in range(60)]
    expected = probabilities(predictor, TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for texts, found in zip(lists, pool.map(lambda t: probabilities(predictor, t), lists), strict=True):
            np.testing.assert_allclose(found, expected[len(TEXTS) - len(texts) :], atol=1e-5)


def test_nothing_asked_is_nothing_answered(predictor: Predictor) -> None:
    assert predictor.predict([]).answers == ()
    assert predictor.logits([]) == []


def test_the_bill_counts_what_the_model_ran_on(predictor: Predictor) -> None:
    inputs = [Input(""), Input("how to"), Input("how to", "sort"), Input("a " * 14), Input("a " * 15)]
    bills = [(a.n_tokens, a.truncated) for a in predictor.predict(inputs).answers]
    assert bills == [(2, False), (4, False), (6, False), (16, False), (16, True)]


def test_windows_are_counted_whole_and_answered_once(tmp_path: Path) -> None:
    predictor = load_predictor(tiny_artifact(tmp_path, long_text="windows"), n_threads=1)
    short, long = predictor.predict([Input("java"), Input("java python " * 20)]).answers
    assert (short.n_tokens, long.truncated) == (3, False)
    assert long.n_tokens > 40


class CountingSession:
    """Answers zeros and counts."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.n_streams, self.max_batch_tokens = 1, 512

    def run(self, batch: Batch, stream: int | None = None) -> Floats:
        self.shapes.append(batch.input_ids.shape)  # type: ignore[arg-type]
        return np.zeros((len(batch.input_ids), 3), np.float32)

    def close(self) -> None:
        """Nothing to give back."""


def test_too_many_tokens_are_refused_before_anything_runs(predictor: Predictor) -> None:
    session = CountingSession()
    counted = Predictor(predictor.artifact, session, tiny_tokenizer())
    assert len(counted.predict([Input("java")] * 10, max_tokens=30).answers) == 10
    session.shapes.clear()
    with pytest.raises(TooManyTokens, match=r"at most 30 tokens in one request, got 33; x\[10\] is the first"):
        counted.predict([Input("java")] * 11, max_tokens=30)
    assert session.shapes == []


def test_a_model_that_learned_from_padded_texts_refuses_pairs_by_their_index(predictor: Predictor) -> None:
    served = replace(predictor.artifact.served, fixed_length=True)
    padding = Predictor(replace(predictor.artifact, served=served), CountingSession(), tiny_tokenizer())
    assert [answer.n_tokens for answer in padding.predict([Input("a"), Input("")]).answers] == [16, 16]
    with pytest.raises(InvalidInput, match=r"x\[1\]: expected a string, got a pair"):
        padding.predict([Input("a"), Input("a", "b"), Input("a", "b")])


def test_batches_stay_within_their_padded_tokens() -> None:
    session = CountingSession()
    lengths = [3, 40, 5, 9, 9, 9, 200, 3]
    run_encodings(session, [Encoding([1] * n, n) for n in lengths], 0, max_batch_tokens=64)
    assert all(rows * length <= 64 or rows == 1 for rows, length in session.shapes)
    assert sum(rows for rows, _ in session.shapes) == len(lengths)


def test_how_batches_are_cut_changes_no_logit(predictor: Predictor) -> None:
    session = open_session(predictor.artifact.path / "model.onnx", 1)
    rng = np.random.default_rng(0)
    encodings = [Encoding(rng.integers(4, 40, n).tolist(), max(1, n - 2)) for n in rng.integers(2, 60, 50)]
    expected = run_encodings(session, encodings, 0, max_batch_tokens=1)
    for budget in (16, 100, 10_000):
        np.testing.assert_allclose(run_encodings(session, encodings, 0, budget), expected, atol=1e-5)
