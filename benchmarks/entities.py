"""Named entities: `retort train --task token_classification` against Hugging Face `Trainer`, on WNUT17.

    python benchmarks/entities.py [--data-dir ../shared/data] [--seeds 0 1 2] [--runs linear crf bilstm trainer]

The two with MiniLM and the peer fine-tune the same weights on the same files, with the same epochs and learning rate,
interleaved by seed; the BiLSTM starts from nothing, with its own defaults.  Each is judged at the epoch with the best
validation F1.  Prints a table and writes `benchmarks/results/entities.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peers.environment import peer_python
from retort.data.sources import resolve_encoder

HERE = Path(__file__).parent
FILES = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": "emerging.test.annotated"}
RUNS = {"linear": [], "crf": ["--crf"], "bilstm": ["--model", "bilstm"], "trainer": []}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--epochs", type=int, default=3, help="Of all but the BiLSTM.")
    parser.add_argument("--learn-rate", type=float, default=1e-4, help="Of all but the BiLSTM.")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "entities.json")
    args = parser.parse_args()
    files = {name: str(args.data_dir / "wnut17" / file) for name, file in FILES.items()}
    out = args.out
    out.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    for seed in args.seeds:
        for run in args.runs:
            shared = ["--n-epochs", str(args.epochs), "--max-learn-rate", str(args.learn_rate)]
            if run == "trainer":
                found = trainer(files, seed, args.epochs, args.learn_rate)
            else:
                found = ours(files, seed, RUNS[run] + (shared if run != "bilstm" else []))
            result = {"seed": seed, "run": run} | found
            print(json.dumps({k: v for k, v in result.items() if k != "history"}), flush=True)
            results.append(result)
            out.write_text(json.dumps(results, indent=1))
    summarise(results)


def ours(files: dict[str, str], seed: int, options: list[str]) -> dict[str, Any]:
    """One `retort train` as a user would type it."""
    with tempfile.TemporaryDirectory() as models:
        command = [sys.executable, "-m", "retort", "train", "--json", "--task", "token_classification"]
        command += ["--data", files["train"], "--validation", files["validation"], "--test", files["test"]]
        command += ["--models-dir", models, "--checkpoint-dir", f"{models}/checkpoints", "--log-dir", f"{models}/logs"]
        start = time.perf_counter()
        done = subprocess.run([*command, "--seed", str(seed), *options], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(done.stderr)
        metrics = json.loads(done.stdout)["metrics"]
        scores = metrics.get(metrics["served"], metrics)  # of the graph that serves, which may be 8 bits
        served = next(Path(models).glob("trained/*/config.json"))
        graph = json.loads(served.read_text())["retort"]["graph"]
        size_mb = (served.parent / graph).stat().st_size / 1e6
    return {
        "validation_f1": scores["validation"]["f1"],
        **{name: scores["test"][name] for name in ("f1", "precision", "recall", "ece")},
        "seconds": round(seconds, 1),
        "examples_per_second": metrics["examples_per_second"],
        "served": metrics["served"],
        "size_mb": round(size_mb, 1),
    }


def trainer(files: dict[str, str], seed: int, epochs: int, learn_rate: float) -> dict[str, Any]:
    """The peer on the same files."""
    command = [
        str(peer_python("hf")),
        str(HERE / "peers" / "hf_entities.py"),
        "--model",
        str(resolve_encoder("minilm")),
    ]
    command += [part for name, file in files.items() for part in (f"--{name}", file)]
    command += ["--seed", str(seed), "--epochs", str(epochs), "--learn-rate", str(learn_rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def summarise(results: list[dict[str, Any]]) -> None:
    """Mean scores and median seconds of each run; then how far the peer is."""
    print("\nrun | seeds | validation F1 | test F1 (of each seed) | median seconds | median sentences/s")
    means = {}
    for run in dict.fromkeys(result["run"] for result in results):
        rows = [result for result in results if result["run"] == run]
        means[run] = statistics.mean(row["f1"] for row in rows)
        validation = statistics.mean(row["validation_f1"] for row in rows)
        seconds, speed = (statistics.median(row[key] for row in rows) for key in ("seconds", "examples_per_second"))
        each = ", ".join(f"{row['f1']:.4f}" for row in rows)
        print(f"  {run:8} | {len(rows)} | {validation:.4f} | {means[run]:.4f} ({each}) | {seconds:.0f} | {speed:.1f}")
    for run, mean in means.items():
        if run != "trainer" and "trainer" in means:
            print(f"  {run} to trainer: {100 * (mean - means['trainer']):+.1f} points")


if __name__ == "__main__":
    main()
