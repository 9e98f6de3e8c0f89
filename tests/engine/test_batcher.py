"""Who shares a batch with whom, who goes first, who is refused, and who is given up."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from artifacts import tiny_artifact
from retort.engine.batcher import Batcher, BatchLimits
from retort.engine.loading import load_predictor
from retort.engine.metrics import Metrics
from retort.errors import ClientLeft, DeadlinePassed, InferenceFailed, ModelNotReady, Overloaded, RetortError
from retort.tasks import Input
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch, round_width
from retort.tokenization.encoding import Encoding

RAISES, IS_NAN, BLOCKS = 900, 901, 902  # marks: first ids of encodings that are trouble
LONG_S = 30.0  # longer than a test waits for anything that comes


def encoding(mark: int, length: int = 8) -> Encoding:
    return Encoding([mark] * length, length)


MAX_WIDTH = 512


class Session:
    """Answers each row with its mark.  A held one begins a batch, says so in `begun`, and waits for a turn."""

    def __init__(self, is_held: bool = False, n_streams: int = 1, max_batch_tokens: int = 64) -> None:
        self.n_streams, self.max_batch_tokens = n_streams, max_batch_tokens
        self.begun: SimpleQueue[list[int]] = SimpleQueue()
        self.shapes: list[tuple[int, int]] = []
        self._is_held, self.turns = is_held, threading.Semaphore(0)
        self.unblocked = threading.Event()
        self.is_closed = False

    def run(self, batch: Batch, stream: int | None = None) -> Floats:
        marks = batch.input_ids[:, 0]
        self.shapes.append(batch.input_ids.shape)  # type: ignore[arg-type]
        self.begun.put(marks[batch.attention_mask[:, 0] == 1].tolist())
        if self._is_held:
            self.turns.acquire()
        if BLOCKS in marks:
            self.unblocked.wait()
        if RAISES in marks:
            raise RuntimeError("a bad input")
        logits = np.stack([marks, marks], axis=1).astype(np.float32)
        logits[marks == IS_NAN] = np.nan
        return logits

    def release_all(self) -> None:
        """Hold nothing any more."""
        self._is_held = False
        self.turns.release(self.n_streams)

    def wait_for_batch(self) -> list[int]:
        """The marks of the next batch that begins."""
        return self.begun.get(timeout=LONG_S)

    def close(self) -> None:
        self.is_closed = True


@contextmanager
def batching(session: Session, metrics: Metrics | None = None, **limits: float) -> Iterator[Batcher]:
    batcher = Batcher(session, 0, BatchLimits(**limits), MAX_WIDTH, metrics)  # type: ignore[arg-type]
    try:
        yield batcher
    finally:
        session.unblocked.set()
        session.release_all()
        batcher.close()


def count_dropped(metrics: Metrics) -> dict[str, float]:
    found = [s for family in metrics.registry.collect() for s in family.samples if s.name == "retort_dropped_total"]
    return {s.labels["reason"]: s.value for s in found if s.value}


def test_a_single_text_overtakes_a_list_of_thousands() -> None:
    session = Session(is_held=True)
    with batching(session) as batcher:
        listed = batcher.submit([encoding(1)] * 5000)
        assert session.wait_for_batch() == [1] * 8
        batcher.submit([encoding(2)])
        session.turns.release()
        assert 2 in session.wait_for_batch()
        listed.cancel()


def test_single_texts_that_keep_coming_do_not_stop_a_list() -> None:
    session = Session(is_held=True)
    with batching(session) as batcher:
        listed = batcher.submit([encoding(1)] * 40)
        n_batches = n_listed = 0
        while n_listed < 40:
            n_listed += session.wait_for_batch().count(1)
            n_batches += 1
            for _ in range(6):  # three quarters of a batch
                batcher.submit([encoding(2)])
            session.turns.release()
        assert n_batches < 25
        session.release_all()
        listed.wait()


def test_batches_stay_within_their_padded_tokens_and_hold_little_padding() -> None:
    lengths = random.Random(0).choices(range(2, 90), k=500)  # noqa: S311
    session = Session(max_batch_tokens=256)
    with batching(session) as batcher:
        job = batcher.submit([encoding(n, n) for n in lengths])
        job.wait()
    assert [int(row[0]) for row in job.rows] == lengths
    assert all(rows * width <= 256 for rows, width in session.shapes)
    assert {round_width(width, MAX_WIDTH) - width for _, width in session.shapes} == {0}
    assert sum(len(session.wait_for_batch()) for _ in session.shapes) == 500
    assert sum(rows * width for rows, width in session.shapes) < 1.25 * sum(lengths)


def test_a_text_longer_than_a_batch_has_one_of_its_own() -> None:
    session = Session(max_batch_tokens=64)
    with batching(session) as batcher:
        batcher.submit([encoding(1, 200), encoding(2, 100), encoding(3, 4)]).wait()
    assert sorted(session.wait_for_batch() for _ in session.shapes) == [[1], [2], [3]]


def test_a_list_is_admitted_whole_or_refused_whole() -> None:
    session = Session(is_held=True)
    with batching(session, max_waiting_tokens=100) as batcher:
        running = batcher.submit([encoding(1)])
        session.wait_for_batch()
        admitted = [batcher.submit([encoding(2)] * 20) for _ in range(4)]  # each counts as a quarter of 100
        before = batcher.waiting
        with pytest.raises(Overloaded):
            batcher.submit([encoding(3)] * 20)
        with pytest.raises(Overloaded):
            batcher.submit([encoding(3)])
        assert batcher.waiting == before == (4, 4 * 20 * 8)
        session.release_all()
        for job in (running, *admitted):
            job.wait()
        batcher.submit([encoding(4)]).wait()  # there is room again
        assert batcher.waiting == (0, 0)
    begun = [mark for _ in session.shapes[1:] for mark in session.wait_for_batch()]
    assert (begun.count(2), begun.count(3)) == (80, 0)


def test_a_request_longer_than_all_that_may_wait_is_taken_when_nobody_waits() -> None:
    with batching(Session(), max_waiting_tokens=10) as batcher:
        job = batcher.submit([encoding(1)] * 100)
        job.wait()
        assert [int(row[0]) for row in job.rows] == [1] * 100


def test_nothing_is_done_at_once() -> None:
    with batching(Session()) as batcher:
        batcher.submit([]).wait()


def drop_by_deadline(job: "object") -> None:
    job.expire()  # type: ignore[attr-defined]


def drop_by_leaving(job: "object") -> None:
    job.cancel()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("drop", "error"), [(drop_by_deadline, DeadlinePassed), (drop_by_leaving, ClientLeft)])
def test_of_what_is_given_up_nothing_more_is_computed(drop: object, error: type[RetortError]) -> None:
    session, metrics = Session(is_held=True), Metrics()
    with batching(session, metrics) as batcher:
        listed = batcher.submit([encoding(1)] * 100)
        session.wait_for_batch()
        drop(listed)  # type: ignore[operator]
        with pytest.raises(error):
            listed.wait()
        assert batcher.waiting == (0, 0)
        other = batcher.submit([encoding(2)])
        session.release_all()
        other.wait()
        drop(listed)  # type: ignore[operator]  # nothing happens twice
        drop(other)  # type: ignore[operator]  # nor to who is done
        other.check()
        assert [session.wait_for_batch() for _ in session.shapes[1:]] == [[2]]
        assert count_dropped(metrics) == {error.__name__: 1}


def test_whose_deadline_passed_while_they_waited_are_never_computed() -> None:
    session, metrics = Session(is_held=True), Metrics()
    with batching(session, metrics) as batcher:
        running = batcher.submit([encoding(1)])
        session.wait_for_batch()
        late = batcher.submit([encoding(2)] * 3, deadline=time.perf_counter())
        with pytest.raises(DeadlinePassed):
            late.wait()
        noticed = batcher.submit([encoding(3)], deadline=time.perf_counter())  # nobody waits for this one
        after = batcher.submit([encoding(4)], deadline=time.perf_counter() + LONG_S)
        session.release_all()
        running.wait()
        after.wait()
        assert isinstance(noticed.error, DeadlinePassed)
        assert [session.wait_for_batch() for _ in session.shapes[1:]] == [[4]]
        assert count_dropped(metrics) == {"DeadlinePassed": 2}


def test_who_asks_to_be_called_is_called_once_whatever_happens() -> None:
    session = Session(is_held=True)
    calls: SimpleQueue[str] = SimpleQueue()
    with batching(session) as batcher:
        done, dropped = batcher.submit([encoding(1)]), batcher.submit([encoding(2)] * 9)
        done.on_done(lambda: calls.put("done"))
        dropped.on_done(lambda: calls.put("dropped"))
        dropped.cancel()
        assert calls.get(timeout=LONG_S) == "dropped"
        session.release_all()
        assert calls.get(timeout=LONG_S) == "done"
        done.on_done(lambda: calls.put("again"))  # who comes late is called at once
        assert calls.get_nowait() == "again"
    assert calls.empty()


def test_closing_answers_what_waits_and_takes_nothing_more() -> None:
    session = Session(is_held=True)
    batcher = Batcher(session, 0, BatchLimits(), MAX_WIDTH)
    jobs = [batcher.submit([encoding(n)] * 20) for n in range(5)]
    session.wait_for_batch()
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(batcher.close)
        session.release_all()
        closing.result()
    for n, job in enumerate(jobs):
        job.wait()
        assert [int(row[0]) for row in job.rows] == [n] * 20
    assert session.is_closed
    with pytest.raises(ModelNotReady):
        batcher.submit([encoding(1)])


def test_closing_a_stuck_session_fails_what_is_not_answered_and_keeps_the_session() -> None:
    session = Session(is_held=True)
    batcher = Batcher(session, 0, BatchLimits(), MAX_WIDTH)
    running, waiting = batcher.submit([encoding(1)]), batcher.submit([encoding(2)] * 20)
    session.wait_for_batch()
    batcher.close(timeout_s=0)
    for job in (running, waiting):
        with pytest.raises(ModelNotReady):
            job.wait()
    assert not session.is_closed
    session.release_all()


def test_a_stuck_batch_is_told_from_none() -> None:
    session = Session(is_held=True)
    with batching(session) as batcher:
        assert batcher.stuck_s() == 0
        job = batcher.submit([encoding(1)])
        session.wait_for_batch()
        assert batcher.stuck_s() > 0
        session.turns.release()
        job.wait()


def test_a_stream_that_waits_for_company_begins_when_its_batch_is_full() -> None:
    session = Session()
    with batching(session, max_wait_s=LONG_S) as batcher:
        jobs = [batcher.submit([encoding(n)]) for n in range(8)]
        for job in jobs:
            job.wait()
    assert session.shapes == [(8, 8)]


def test_a_stream_that_waits_for_company_does_not_wait_for_ever() -> None:
    with batching(Session(), max_wait_s=0.001) as batcher:
        batcher.submit([encoding(1)]).wait()


def test_two_streams_share_a_list() -> None:
    together, calls = threading.Barrier(2, timeout=LONG_S), itertools.count()

    class Pair(Session):
        def run(self, batch: Batch, stream: int | None = None) -> Floats:
            if next(calls) < 2:
                together.wait()  # passes only while both run
            return super().run(batch, stream)

    session = Pair(n_streams=2, max_batch_tokens=128)
    with batching(session) as batcher:
        batcher.submit([encoding(1)] * 200).wait()
    assert sum(rows for rows, _ in session.shapes) == 200
    assert not together.broken


def test_a_stuck_stream_does_not_hold_up_the_other() -> None:
    session = Session(n_streams=2)
    with batching(session) as batcher:
        batcher.submit([encoding(BLOCKS)])
        assert session.wait_for_batch() == [BLOCKS]
        for _ in range(50):
            batcher.submit([encoding(1)] * 10).wait()


def test_in_a_thousand_random_batches_only_the_bad_inputs_fail() -> None:
    draw = random.Random(0)  # noqa: S311
    with batching(Session(max_batch_tokens=256)) as batcher:
        for _ in range(1000):
            kinds = [draw.choices([1, RAISES, IS_NAN], [8, 1, 1])[0] for _ in range(draw.randint(1, 24))]
            marks = [kind if kind > 1 else draw.randint(2, 99) for kind in kinds]
            job = batcher.submit([encoding(mark, draw.randint(2, 20)) for mark in marks])
            job.wait()
            good = {row: mark for row, mark in enumerate(marks) if mark < RAISES}
            assert job.failures.keys() == set(range(len(marks))) - good.keys()
            assert {row: int(job.rows[row][0]) for row in good} == good
            for row, failure in job.failures.items():
                assert type(failure) is (RuntimeError if marks[row] == RAISES else InferenceFailed)


@pytest.mark.parametrize("mark", [RAISES, IS_NAN])
def test_a_batch_in_which_everything_is_bad_ends_and_the_next_is_answered(mark: int) -> None:
    with batching(Session()) as batcher:
        bad = batcher.submit([encoding(mark)] * 100)
        bad.wait()
        assert len(bad.failures) == 100
        good = batcher.submit([encoding(1)])
        good.wait()
        assert not good.failures


def test_bad_inputs_of_others_in_the_same_batch_change_nothing() -> None:
    session = Session(is_held=True)
    with batching(session) as batcher:
        batcher.submit([encoding(1)])
        session.wait_for_batch()
        jobs = {mark: batcher.submit([encoding(mark)]) for mark in (2, RAISES, 3, IS_NAN)}
        session.release_all()
        for mark, job in jobs.items():
            job.wait()
            assert bool(job.failures) == (mark >= RAISES)
        assert session.wait_for_batch() == [2, RAISES, 3, IS_NAN]  # they did share one


def test_a_real_model_answers_alike_alone_and_in_company(tmp_path: Path) -> None:
    draw = random.Random(0)  # noqa: S311
    words = ["how", "to", "sort", "java", "python", "sql", "list", "é", "你", "👍", "x1", "?", ""]
    texts = [" ".join(draw.choices(words, k=draw.randint(0, 12))) for _ in range(400)]
    predictor = load_predictor(tiny_artifact(tmp_path), n_threads=2)
    alone = [predictor.predict([Input(text)]).answers[0].prediction for text in texts]
    with ThreadPoolExecutor(16) as pool:
        together = [*pool.map(lambda text: predictor.predict([Input(text)]).answers[0].prediction, texts)]
    together += [answer.prediction for answer in predictor.predict([Input(text) for text in texts]).answers]
    for one, other in zip(alone * 2, together, strict=True):
        assert one
        assert other
        assert other.label == one.label
        np.testing.assert_allclose(other.probability, one.probability, atol=1e-4)
    predictor.close()
