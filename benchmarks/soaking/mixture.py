"""Requests of every kind for as long as memory takes to show, and texts that no model can answer."""

import itertools
import random
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hostile_requests import GOOD, REQUESTS, Hostile
from test_direct import IS_NAN, RAISES, Troubled
from test_hostile import LIMITS, ask

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine import loading
from served import Server, serving
from soaking.models import make_tiny
from soaking.promise import Report

MAX_GROWTH_MB = 20


def memory(report: Report, args: Namespace, folder: Path) -> None:
    """`args.requests` mixed ones, every second of them good: how much the worker grows."""
    make_tiny(folder / "models")
    good = Hostile(GOOD, ((200,),))
    mixed = itertools.cycle(itertools.chain.from_iterable((good, hostile) for hostile in REQUESTS.values()))
    statuses: Counter[int] = Counter()
    with (
        ThreadPoolExecutor(4) as pool,
        serving(folder / "models", *LIMITS, log=folder / "log.jsonl", command=args.command) as server,
    ):
        for answers in pool.map(lambda h: ask(server, h), itertools.islice(mixed, 2 * len(REQUESTS))):
            statuses.update(answer.status for answer in answers)
        before_mb = _weigh(server)
        started = time.perf_counter()
        for _ in range(args.requests // 1000):
            for answers in pool.map(lambda h: ask(server, h), itertools.islice(mixed, 1000)):
                statuses.update(answer.status for answer in answers)
        seconds = time.perf_counter() - started
        after_mb = _weigh(server)
        counted: Counter[int] = Counter()
        for (name, labels), value in server.metrics().items():
            if name == "retort_requests_total":
                counted[int(dict(labels)["code"])] += int(value)
        n_lines = (folder / "log.jsonl").read_text().count("\n")
    report.say(f"{args.requests} requests in {seconds:.0f} s; statuses {dict(sorted(statuses.items()))}")
    grown = f"grew by {after_mb - before_mb:.1f} MB, from {before_mb:.0f} to {after_mb:.0f} MB"
    report.check(after_mb - before_mb <= MAX_GROWTH_MB, grown)
    report.check(counted == statuses, "the counters are what the clients saw")
    report.check(n_lines == statuses.total() + 1, f"{n_lines} lines, one a request")
    report.check(not any(500 <= status < 504 for status in statuses), "no 5xx but deadlines")


def _weigh(server: Server) -> float:
    """Megabytes of the worker, when it has had time to give back what long requests took."""
    time.sleep(5)
    return float(server.worker.memory_full_info().pss / 1e6)


def poison(report: Report, args: Namespace, folder: Path) -> None:
    """1,000 random lists with texts at which the model raises or gives NaN: the others are answered."""
    make_tiny(folder / "models")
    loading.open_session = Troubled  # type: ignore[assignment]
    sys.stdout, out = (folder / "log.jsonl").open("w"), sys.stdout
    draw, n_wrong, n_bad = random.Random(0), 0, 0  # noqa: S311
    try:
        client = create_app(ServeSettings(models_dir=folder / "models", n_threads=1)).test_client()
        for _ in range(1000):
            texts = [
                draw.choices(["java", "how to", RAISES, IS_NAN], [6, 6, 1, 1])[0] for _ in range(draw.randint(1, 30))
            ]
            bad = [text in (RAISES, IS_NAN) for text in texts]
            n_bad += sum(bad)
            answer = client.post("/predict", json={"x": texts})
            if all(bad):
                n_wrong += answer.status_code != 500
                continue
            found = answer.get_json()
            n_wrong += [label is None for label in found["predictions"]] != bad
            n_wrong += [error["index"] for error in found.get("errors", [])] != [i for i, b in enumerate(bad) if b]
    finally:
        sys.stdout = out
    report.check(n_wrong == 0, f"1,000 lists with {n_bad} bad texts; {n_wrong} answered wrongly")


def schemathesis(report: Report, args: Namespace, folder: Path) -> None:
    """`args.cases` cases an operation, every check, from the document that the server gives of itself."""
    make_tiny(folder / "models")
    with serving(folder / "models", log=folder / "log.jsonl", command=args.command) as server:
        command = [Path(sys.executable).with_name("st"), "run", f"http://127.0.0.1:{server.port}/openapi.json"]
        options = ["-w", "1", "-n", str(args.cases), "--checks", "all", "--no-color"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    for line in said[-25:]:
        report.say(line)
    report.check(done.returncode == 0, f"schemathesis ended with {done.returncode}")
