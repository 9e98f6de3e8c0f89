"""Cold start and memory: `retort serve` against Flask around a `transformers` pipeline, with the same model folder.

    python benchmarks/cold_start.py [--models-dir models] [--repeats 5] [--peer-python PYTHON]

Both serve the model that `latest_model_config.json` names.  Seconds run from starting the process to the first answer
of `POST /predict`; memory is the proportional set size of the process and its children (pages that processes share
are counted once), after that answer and after 200 more.  Runs are interleaved; the table has medians, and the ratio
of the peer to ours.  Writes `benchmarks/results/cold_start.json`.
"""

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from peers.environment import peer_python
from retort.artifact import load_pointed

HERE = Path(__file__).parent
TEXTS = [
    "How do I sort a list of tuples by the second element?",
    "left join returns duplicate rows",
    "NullPointerException",
]
N_MORE = 200
PATIENCE_S = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models-dir", type=Path, default=HERE.parent / "models")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-python", help="A Python that has torch, transformers and flask; installed otherwise.")
    args = parser.parse_args()
    model = load_pointed(args.models_dir).path
    peer = args.peer_python or str(peer_python("hf"))
    commands = {
        "retort": [sys.executable, "-m", "retort", "serve", "--models-dir", str(args.models_dir), "--port"],
        "flask + transformers": [peer, str(HERE / "peers" / "hf_serve.py"), "--model", str(model), "--port"],
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for repeat in range(args.repeats):
        for name, command in commands.items():
            results[name].append(measure(command))
            print(f"{repeat + 1}/{args.repeats}  {name}: {results[name][-1]}")
    report(model, results)


def measure(command: Sequence[str]) -> dict[str, float]:
    """Start a server, ask, weigh it, stop it."""
    port = free_port()
    started = time.perf_counter()
    server = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while not ask(port):
            if server.poll() is not None or time.perf_counter() - started > PATIENCE_S:
                server.kill()
                raise SystemExit(f"{command[1]} does not answer:\n{server.communicate()[1]}")
            time.sleep(0.005)
        seconds, first = time.perf_counter() - started, memory_mib(server.pid)
        for _ in range(N_MORE):
            ask(port)
        return {"first_answer_s": round(seconds, 2), "memory_mib": first, "later_memory_mib": memory_mib(server.pid)}
    finally:
        for process in [*psutil.Process(server.pid).children(recursive=True), server] if server.poll() is None else []:
            process.kill()
        server.communicate()


def ask(port: int) -> bool:
    """Whether all texts were answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/predict", json.dumps({"x": TEXTS}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status == 200 and len(json.loads(response.read())["predictions"]) == len(TEXTS)
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def memory_mib(pid: int) -> float:
    """Of a process and its children."""
    parent = psutil.Process(pid)
    return round(sum(p.memory_full_info().pss for p in [parent, *parent.children(recursive=True)]) / 2**20, 1)


def report(model: Path, results: dict[str, list[dict[str, float]]]) -> None:
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in results.items()
    }
    ours, theirs = medians.values()
    print(f"\n{model.name} | {' | '.join(medians)} | ratio")
    for key, unit in (("first_answer_s", "s"), ("memory_mib", "MiB"), ("later_memory_mib", "MiB")):
        print(f"  {key:16} | {ours[key]:8.2f} {unit} | {theirs[key]:8.2f} {unit} | {theirs[key] / ours[key]:.1f}")
    file = HERE / "results" / "cold_start.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"model": model.name, "medians": medians, "runs": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
