"""Two models take turns under load: nobody sees an error or an answer of the other one."""

import json
import threading
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from load.clients import build_request, press
from load.results import percentile
from served import Server, serving
from soaking.models import make_tiny
from soaking.offer import offer
from soaking.promise import Report

TEXTS = [
    f"how to sort {word} {n}" for n, word in enumerate(("java", "python", "sql", "list", "join", "é", "你", "x1") * 4)
]
POINTER = "latest_model_config.json"


def swaps(report: Report, args: Namespace, folder: Path) -> None:
    """`args.swaps` of them at half load."""
    models_dir = folder / "models"
    requests = [build_request("/predict", json.dumps({"x": text}).encode()) for text in TEXTS]
    versions, pointers = [], []
    for seed in (0, 1):
        versions.append(make_tiny(models_dir, seed))
        pointers.append((models_dir / POINTER).read_text())
    with serving(models_dir, log=folder / "log.jsonl", command=args.command) as server:
        expected = {}
        for version, pointer in zip(versions, pointers, strict=True):
            _point(server, models_dir, pointer, version)
            expected[version] = [server.ask("POST", "/predict", {"x": text})[1] for text in TEXTS]
        capacity = press(server.port, requests, 16, seconds=5, warm_up_s=1)
        rate = len(capacity.latencies_s) / capacity.duration_s / 2
        still = offer(server.port, requests, rate, 10)
        done = threading.Event()
        found = []

        def load() -> None:
            while not done.is_set():
                found.append(offer(server.port, requests, rate, 5, keeps_bodies=True))

        loading = threading.Thread(target=load)
        loading.start()
        started = time.perf_counter()
        for n in range(args.swaps):
            _point(server, models_dir, pointers[n % 2], versions[n % 2])
        seconds = time.perf_counter() - started
        done.set()
        loading.join()
    wrong = sum(not _is_right(json.loads(body), index, expected) for run in found for index, body in run.bodies)
    latencies = [s for run in found for s in run.latencies_s.get("200", ())]
    faults = [(why, n) for run in found for why, n in run.faults.items() if n]
    statuses = {status for run in found for status in run.latencies_s}
    report.say(f"{args.swaps} swaps in {seconds:.0f} s at {rate:.0f} requests/s, {len(latencies)} answers")
    report.check(statuses == {"200"} and not faults, f"statuses {sorted(statuses)}, faults {faults}")
    report.check(wrong == 0, f"{wrong} answers of another model than they name")
    p99, p99_still = percentile(latencies, 0.99), percentile(still.latencies_s["200"], 0.99)
    report.say(f"p99 during swaps {p99 * 1000:.1f} ms, without {p99_still * 1000:.1f} ms ({p99 / p99_still:.1f} times)")


def _point(server: Server, models_dir: Path, pointer: str, version: str) -> None:
    draft = models_dir / "draft.json"
    draft.write_text(pointer)
    draft.replace(models_dir / POINTER)
    while server.ask("GET", "/readyz")[1].get("model") != version:
        time.sleep(0.05)


def _is_right(answer: dict[str, Any], index: int, expected: dict[str, list[dict[str, Any]]]) -> bool:
    right = expected[answer["model"]][index % len(TEXTS)]
    near = abs(answer["probabilities"][0] - right["probabilities"][0]) < 1e-4
    return near and answer["predictions"] == right["predictions"]
