"""What a request costs outside inference: `retort serve` under load against its bare session on the same texts.

    python benchmarks/overhead.py [--models-dir benchmarks/.models/banking77] [--clients 64] [--pid PID --port PORT]

The bare session runs arrays made beforehand, so it neither tokenizes nor waits: a text at a time, and in batches of two
sizes of the texts that as many clients would have waiting, ordered by length; the fastest counts.  Both sides have the
same cores and are measured by their processes' CPU time, in turn.  Goals: HTTP reaches 75 % of the bare session's texts
a second with short texts, 85 % with mixed ones.  Without --pid a server is started.  Writes
`benchmarks/results/overhead.json`.
"""

import argparse
import contextlib
import functools
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil

from load.clients import build_request, press
from load.model import train
from load.processes import Running, find_port
from load.texts import build_workloads
from peers.servers import SERVERS
from retort.artifact import load_pointed
from retort.engine.session import open_session
from retort.tasks.base import Input
from retort.tokenization.batch import Batch, collate, plan_batches
from retort.tokenization.tokenizer import load_tokenizer

HERE = Path(__file__).parent
RETORT = SERVERS[0]
GOALS = {"short": 0.75, "mixed": 0.85}


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one side."""

    texts_per_s: float
    cpu_ms_per_text: float


def main() -> None:
    args = _parse_arguments()
    os.sched_setaffinity(0, set(args.cores))
    train(args.models_dir, args.data_dir, 256)
    artifact = load_pointed(args.models_dir)
    texts = build_workloads(args.data_dir, artifact.path / "tokenizer.json")
    bare = {name: open_bare(args.models_dir, texts[name], args.clients) for name in args.workloads}
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        port, cpu_s = args.port, None
        if args.pid:
            cpu_s = lambda: sum(_tree_cpu_s(args.pid))  # noqa: E731
        else:
            port = find_port()
            command = RETORT.command(args.models_dir, artifact.path, port)
            first = build_request(RETORT.path, RETORT.encode(["hello"]))
            running = Running(command, port, HERE / "results" / "logs" / "overhead.log", first, 120)
            stack.callback(running.stop)
            cpu_s = running.cpu_s
        for name in args.workloads:
            found[name] = _compare(name, bare[name], port, cpu_s, texts[name], args)
            _print(name, found[name])
    file = HERE / "results" / "overhead.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"model": artifact.path.name, "clients": args.clients, **found}, indent=2) + "\n")


def _compare(
    name: str,
    bare: dict[str, Callable[[float], Speed]],
    port: int,
    cpu_s: Callable[[], float],
    texts: Sequence[str],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Medians of both sides, in turn."""
    requests = [build_request(RETORT.path, RETORT.encode([text])) for text in texts]
    runs: dict[str, list[Speed]] = {}
    for _ in range(args.repeats):
        for way, measure in bare.items():
            runs.setdefault(way, []).append(measure(args.seconds))
        runs.setdefault("http", []).append(_measure_http(port, cpu_s, requests, args))
    speeds = {
        way: Speed(
            round(statistics.median(s.texts_per_s for s in some), 1),
            round(statistics.median(s.cpu_ms_per_text for s in some), 3),
        )
        for way, some in runs.items()
    }
    best = max(bare, key=lambda way: speeds[way].texts_per_s)
    return {
        **{way: {"texts_per_s": s.texts_per_s, "cpu_ms_per_text": s.cpu_ms_per_text} for way, s in speeds.items()},
        "fastest_bare": best,
        "overhead_cpu_ms": round(speeds["http"].cpu_ms_per_text - speeds[best].cpu_ms_per_text, 3),
        "http_share_of_bare": round(speeds["http"].texts_per_s / speeds[best].texts_per_s, 3),
        "goal": GOALS[name],
    }


def _measure_http(port: int, cpu_s: Callable[[], float], requests: Sequence[bytes], args: argparse.Namespace) -> Speed:
    cpu: list[float] = []
    load = press(port, requests, args.clients, args.seconds, 1.0, lambda: cpu.append(cpu_s()))
    if load.errors or not load.latencies_s:
        raise SystemExit(f"The server did not answer all requests: {load.errors}")
    n = len(load.latencies_s)
    return Speed(n / load.duration_s, 1000 * (cpu[1] - cpu[0]) / n)


def open_bare(models_dir: Path, texts: Sequence[str], n_waiting: int) -> dict[str, Callable[[float], Speed]]:
    """The ways to run the bare session.  All that is known here of the engine is in this function."""
    artifact = load_pointed(models_dir)
    served, tokenizer = artifact.served, load_tokenizer(artifact.path / "tokenizer.json")
    session = open_session(artifact.path / served.graph)
    encodings = [some[0] for some in served.encode([Input(text) for text in texts], tokenizer)]
    groups = [encodings[i : i + n_waiting] for i in range(0, len(encodings), n_waiting)]
    ways = {"bare, one text a run": [collate([e], tokenizer.pad_id) for e in encodings]}
    for budget in (session.max_batch_tokens // 4, session.max_batch_tokens):
        ways[f"bare, {budget} tokens a run"] = [
            collate([group[i] for i in rows], tokenizer.pad_id)
            for group in groups
            for rows in plan_batches([len(e) for e in group], budget)
        ]
    return {way: functools.partial(_run_bare, session.run, batches, session.n_streams) for way, batches in ways.items()}


def _run_bare(run: Callable[[Batch], object], batches: Sequence[Batch], n_threads: int, seconds: float) -> Speed:
    """Over and over; each thread takes the next batch."""
    source, turn, n_done = cycle(batches), threading.Lock(), [0] * n_threads
    run(batches[0])
    started, cpu = time.perf_counter(), time.process_time()
    threads = [
        threading.Thread(target=_work, args=(run, source, turn, started + seconds, n_done, i)) for i in range(n_threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    duration, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Speed(sum(n_done) / duration, 1000 * cpu / sum(n_done))


def _work(
    run: Callable[[Batch], object],
    source: Iterator[Batch],
    turn: threading.Lock,
    end: float,
    n_done: list[int],
    index: int,
) -> None:
    while time.perf_counter() < end:
        with turn:
            batch = next(source)
        run(batch)
        n_done[index] += len(batch.input_ids)


def _tree_cpu_s(pid: int) -> Iterator[float]:
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        times = process.cpu_times()
        yield times.user + times.system


def _print(name: str, found: dict[str, Any]) -> None:
    print(f"\n{name}")
    for way in (way for way, speed in found.items() if isinstance(speed, dict)):
        print(
            f"  {way:24} {found[way]['texts_per_s']:8.1f} texts/s  {found[way]['cpu_ms_per_text']:7.3f} CPU ms a text"
        )
    print(f"  outside inference: {found['overhead_cpu_ms']:.3f} CPU ms a request")
    share, goal = found["http_share_of_bare"], found["goal"]
    print(
        f"  HTTP has {share:.1%} of the bare session's texts/s; goal {goal:.0%}: {'met' if share >= goal else 'missed'}"
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-dir", type=Path, default=HERE / ".models" / "banking77")
    parser.add_argument("--data-dir", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--workloads", type=lambda t: t.split(","), default=["short", "mixed"])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pid", type=int, help="of a server that runs already, with --port")
    parser.add_argument("--port", type=int)
    parser.add_argument("--cores", type=lambda t: [int(c) for c in t.split(",")], help="two of those there are")
    args = parser.parse_args()
    args.cores = args.cores or sorted(os.sched_getaffinity(0))[:2]
    if bool(args.pid) != bool(args.port):
        parser.error("expected --pid and --port together")
    return args


if __name__ == "__main__":
    main()
