"""Ten times more than it can take: what leaves is answers and refusals, and no fewer answers than before."""

import json
import time
from argparse import Namespace
from pathlib import Path

from load.clients import build_request, press
from load.results import percentile
from served import serving
from soaking.models import make_middle
from soaking.offer import offer
from soaking.promise import Report

ALLOWED = {"200", "429", "503", "504"}
WORDS = ["how", "to", "sort", "the", "list", "of", "java", "join", "python", "sql", "x1"]
N_CLIENTS = 64


def overload(report: Report, args: Namespace, folder: Path) -> None:
    """`args.seconds` of it."""
    models_dir = args.models_dir or folder / "models"
    if args.models_dir is None:
        make_middle(models_dir)
    texts = [" ".join(WORDS[(n + i) % len(WORDS)] for i in range(args.words)) for n in range(50)]
    requests = [build_request("/predict", json.dumps({"x": text}).encode()) for text in texts]
    with serving(models_dir, log=folder / "log.jsonl", command=args.command) as server:
        before = press(server.port, requests, N_CLIENTS, seconds=10, warm_up_s=5)
        capacity = len(before.latencies_s) / before.duration_s
        calm = offer(server.port, requests, capacity / 4, 5)
        normal_s = percentile(calm.latencies_s["200"], 0.99)
        report.say(
            f"capacity {capacity:.0f} requests/s of {args.words} words; p99 at a quarter {normal_s * 1000:.1f} ms"
        )
        crowd = offer(server.port, requests, args.times * capacity, args.seconds)
        time.sleep(5)
        after = offer(server.port, requests, capacity / 4, 5)
    goodput = crowd.n_answered / crowd.duration_s
    refusals = [s for status, found in crowd.latencies_s.items() if status != "200" for s in found]
    report.say(
        f"offered {crowd.n_sent / crowd.duration_s:.0f}/s ({crowd.n_sent / crowd.duration_s / capacity:.1f} times), "
        f"missed {crowd.n_missed}; answers {crowd.count('200')}, refusals {len(refusals)}, "
        f"p99 of answers {percentile(crowd.latencies_s.get('200', []), 0.99) * 1000:.0f} ms"
    )
    faults = {why: n for why, n in crowd.faults.items() if n}
    report.check(not faults and set(crowd.latencies_s) <= ALLOWED, f"only {sorted(crowd.latencies_s)} left; {faults}")
    report.check(goodput >= 0.9 * capacity, f"goodput {goodput:.0f}/s is {goodput / capacity:.0%} of capacity")
    refusal_s = percentile(refusals, 0.99)
    report.check(not refusals or refusal_s <= 0.05, f"p99 of refusals {refusal_s * 1000:.1f} ms")
    after_s = percentile(after.latencies_s["200"], 0.99)
    report.check(after_s <= max(2 * normal_s, 0.05), f"p99 five seconds later {after_s * 1000:.1f} ms")
