"""Retort against other ways to serve the same weights on two cores: speed, latency, cost, memory and answers.

    python benchmarks/serving.py [--servers retort,careful] [--seconds 8] [--repeats 3] [--clients 1,8,64,1x32]
    python benchmarks/serving.py --table       # Markdown of the last run, measuring nothing

MiniLM fine-tuned on banking77, trained here when there is no such model.  Each server runs alone, in turn, on the same
two cores as the clients (`load/clients.py`), on loopback; `64` means 64 clients that each send one text at a time and
wait, `1x32` one client with lists of 32.  Peers install themselves into `benchmarks/.envs`; what each is stands in
`peers/servers.py` and its own file.  Prints a line a measurement, then medians and ratios; writes
`benchmarks/results/serving.json` after each server, so what was measured before an interruption is kept.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.clients import Load, ask_all, build_request, press
from load.model import label_in_fp32, prepare, train
from load.processes import NoAnswer, Running, find_port
from load.results import build_tables, percentile, take_medians
from load.texts import build_workloads, describe, read_labelled
from peers.servers import SERVERS, Server
from retort.artifact import load_pointed

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "serving.json"
PATIENCE_S = 90.0  # for a first answer
ANSWERS_LIMIT_S = 600.0
N_ANSWER_CLIENTS = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """How clients ask: `64` or `1x32`."""

    name: str
    n_clients: int
    n_texts: int


@dataclass(frozen=True, slots=True)
class Question:
    """The labelled texts, and what fp32 answers."""

    texts: list[str]
    labels: list[str]
    fp32: list[str]


def main() -> None:
    args = _parse_arguments()
    titles = {server.name: server.title for server in SERVERS}
    if args.table:
        print(build_tables(json.loads(RESULTS.read_text())["medians"], titles))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped
    os.sched_setaffinity(0, set(args.cores))
    servers = [next(s for s in SERVERS if s.name == name) for name in args.servers]
    train(args.models_dir, args.data_dir, args.max_seq_len)
    folder, served = prepare(args.models_dir), load_pointed(args.models_dir).served
    workloads = {
        name: texts
        for name, texts in build_workloads(args.data_dir, folder / "tokenizer.json").items()
        if name in args.workloads
    }
    about = {name: describe(folder / "tokenizer.json", texts, served.max_seq_len) for name, texts in workloads.items()}
    for name, line in about.items():
        print(f"{name}: {line}")
    question = None if args.no_answers else _ask_question(args.data_dir, folder)
    runs: dict[str, list[dict[str, Any]]] = {}
    failures: dict[str, str] = {}
    for repeat in range(args.repeats):
        for server in servers:
            if failures.get(server.name):
                continue
            print(f"\n{repeat + 1}/{args.repeats} {server.title}", flush=True)
            entry: dict[str, Any] = {"cells": {}}
            try:
                command_of = lambda port, s=server: s.command(args.models_dir, folder, port)  # noqa: E731
                measure(server, command_of, workloads, args, question if repeat == 0 else None, entry)
            except (NoAnswer, OSError, subprocess.CalledProcessError) as e:
                failures[server.name] = str(e)
                print(f"  failed: {e}", flush=True)
            runs.setdefault(server.name, []).append(entry)
            _write(runs, failures, about, args)
    medians = take_medians(runs)
    print(f"\n{build_tables(medians, titles)}")
    _print_client_cost(medians)
    for name, why in failures.items():
        print(f"\n{titles[name]} failed: {why}")


def measure(
    server: Server,
    command_of: Any,
    workloads: dict[str, list[str]],
    args: argparse.Namespace,
    question: Question | None,
    entry: dict[str, Any],
) -> None:
    """Start one server, ask it everything, stop it; `entry` keeps what was found, also when it fails half-way.

    Raises NoAnswer, OSError, CalledProcessError.
    """
    port = find_port()
    command = command_of(port)
    first = build_request(server.path, server.encode([next(iter(workloads.values()))[0]]))
    running = Running(command, port, HERE / "results" / "logs" / f"{server.name}.log", first, PATIENCE_S)
    try:
        entry["first_answer_s"] = round(running.first_answer_s, 3)
        print(f"  first answer after {running.first_answer_s:.2f} s", flush=True)
        for workload, texts in workloads.items():
            for shape in args.clients:
                cell = _measure_cell(server, running, texts, shape, args)
                entry["cells"][f"{workload} x {shape.name}"] = cell
                print(f"  {workload:5} x {shape.name:5} {_line(cell)}", flush=True)
        if question:
            entry |= _check_answers(server, running, question)
            print(
                f"  labels as fp32: {entry['same_as_fp32']:.4f}, accuracy {entry['accuracy']:.4f}, "
                f"{entry['n_unanswered']} unanswered",
                flush=True,
            )
    finally:
        running.stop()


def _measure_cell(
    server: Server, running: Running, texts: Sequence[str], shape: Shape, args: argparse.Namespace
) -> dict[str, Any]:
    groups = [texts[i : i + shape.n_texts] for i in range(0, len(texts) - shape.n_texts + 1, shape.n_texts)]
    requests = [build_request(server.path, server.encode(group)) for group in groups]
    cpu: list[float] = []
    load = press(
        running.port, requests, shape.n_clients, args.seconds, args.warm_up, lambda: cpu.append(running.cpu_s())
    )
    running.check()
    n_texts = len(load.latencies_s) * shape.n_texts
    return {
        "texts_per_s": round(n_texts / load.duration_s, 2),
        "p50_ms": round(1000 * percentile(load.latencies_s, 0.5), 2) if n_texts else None,
        "p99_ms": round(1000 * percentile(load.latencies_s, 0.99), 2) if n_texts else None,
        "errors": load.errors,
        "cpu_s_per_1000": round(1000 * (cpu[1] - cpu[0]) / n_texts, 3) if n_texts else None,
        "memory_mib": round(running.memory_mib(), 1),
        "client_cpu_us": _client_cpu_us(load),
        "n_connections": load.n_connections,
    }


def _client_cpu_us(load: Load) -> float | None:
    return round(1e6 * load.cpu_s / len(load.latencies_s), 1) if load.latencies_s else None


def _line(cell: dict[str, Any]) -> str:
    if cell["p50_ms"] is None:
        return f"no answers; errors {cell['errors']}"
    return (
        f"{cell['texts_per_s']:8.1f} texts/s  p50 {cell['p50_ms']:8.2f} ms  p99 {cell['p99_ms']:8.2f} ms  "
        f"CPU {cell['cpu_s_per_1000']:6.2f} s/1000  {cell['memory_mib']:6.0f} MiB  "
        f"client {cell['client_cpu_us']:.0f} us/request  errors {cell['errors'] or 0}"
    )


def _ask_question(data_dir: Path, folder: Path) -> Question:
    texts, labels = read_labelled(data_dir / "banking77" / "test.csv")
    fp32 = label_in_fp32(folder, texts)
    print(f"fp32 accuracy: {_share(fp32, labels):.4f} of {len(texts)}")
    return Question(texts, labels, fp32)


def _check_answers(server: Server, running: Running, question: Question) -> dict[str, Any]:
    """Under full load: with 8 bits, what else is in a batch can change an answer."""
    requests = [build_request(server.path, server.encode([text])) for text in question.texts]
    load = ask_all(running.port, requests, N_ANSWER_CLIENTS, ANSWERS_LIMIT_S)
    answers: list[str | None] = []
    for index in range(len(requests)):
        try:
            (label,) = server.decode(load.bodies[index])
            answers.append(label)
        except (KeyError, ValueError, TypeError, IndexError):  # none, or no prediction
            answers.append(None)
    return {
        "same_as_fp32": _share(answers, question.fp32),
        "accuracy": _share(answers, question.labels),
        "n_unanswered": sum(answer is None for answer in answers),
    }


def _share(found: Sequence[str | None], expected: Sequence[str]) -> float:
    return sum(f == e for f, e in zip(found, expected, strict=True)) / len(expected)


def _print_client_cost(medians: dict[str, dict[str, Any]]) -> None:
    costs = [row["client_cpu_us"] for m in medians.values() for row in m["cells"].values() if row["client_cpu_us"]]
    if costs:
        print(f"\nThe clients' own CPU: {min(costs):.0f} to {max(costs):.0f} us a request.")


def _write(runs: dict[str, Any], failures: dict[str, str], about: dict[str, str], args: argparse.Namespace) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    settings = {"seconds": args.seconds, "repeats": args.repeats, "cores": args.cores, "model": str(args.models_dir)}
    found = {
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "settings": settings,
        "texts": about,
        "failures": failures,
        "medians": take_medians(runs),
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [server.name for server in SERVERS]
    parser.add_argument("--servers", type=lambda t: t.split(","), default=names, help=f"of {','.join(names)}")
    parser.add_argument("--workloads", type=lambda t: t.split(","), default=["short", "mixed"])
    parser.add_argument("--clients", type=_parse_shapes, default=_parse_shapes("1,8,64,1x32"))
    parser.add_argument("--seconds", type=float, default=8.0, help="that each measurement takes")
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds before each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models-dir", "--model-dir", type=Path, default=HERE / ".models" / "banking77")
    parser.add_argument("--max-seq-len", type=int, default=256, help="when the model is trained here")
    parser.add_argument("--data-dir", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--cores", type=lambda t: [int(c) for c in t.split(",")], help="two of those there are")
    parser.add_argument("--no-answers", action="store_true", help="do not compare labels with fp32")
    parser.add_argument("--table", action="store_true", help="print the last run's tables as Markdown")
    args = parser.parse_args()
    args.cores = args.cores or sorted(os.sched_getaffinity(0))[:2]
    if unknown := set(args.servers) - set(names):
        parser.error(f"expected servers of {','.join(names)}, got {','.join(sorted(unknown))}")
    return args


def _parse_shapes(text: str) -> list[Shape]:
    shapes = []
    for name in text.split(","):
        n_clients, _, n_texts = name.partition("x")
        shapes.append(Shape(name, int(n_clients), int(n_texts or 1)))
    return shapes


if __name__ == "__main__":
    main()
