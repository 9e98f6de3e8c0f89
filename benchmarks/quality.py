"""Quality and time to quality: `retort train` with default settings against Hugging Face `Trainer`.

    python benchmarks/quality.py [--data-dir ../shared/data] [--seeds 3] [--sets banking77 stackoverflow_titles20]

Both fine-tune the same MiniLM weights on the same files in the same run, interleaved by seed.  Prints a table and
writes `benchmarks/results/quality.json`.  `time to peer` is the whole `retort train` command (read, train, calibrate,
export, verify, publish) of the shortest recipe that reaches the peer's final test accuracy, against the peer's
training loop with its tokenising, and without exporting anything.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from peers.environment import peer_python
from retort.data.sources import resolve_encoder

HERE = Path(__file__).parent
SETS = {  # columns, and how many epochs the peer trains
    "banking77": ("text", "category", 4),
    "stackoverflow_titles20": ("post", "tags", 2),
}
RECIPES = {"default": [], "few_shot": ["--few-shot"], "one_epoch": ["--n-epochs", "1"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--no-peer", action="store_true", help="Only ours.")
    args = parser.parse_args()
    out = HERE / "results" / "quality.json"
    out.parent.mkdir(exist_ok=True)
    results: list[dict[str, Any]] = []
    for data_set in args.sets:
        for seed in range(args.seeds):
            folder = args.data_dir / data_set
            runs = {recipe: partial(ours, folder, seed, RECIPES[recipe]) for recipe in args.recipes}
            if not args.no_peer:
                runs["trainer"] = partial(trainer, folder, seed, *SETS[data_set])
            for name, run in runs.items():
                result = {"set": data_set, "seed": seed, "run": name} | run()
                print(json.dumps(result), flush=True)
                results.append(result)
                out.write_text(json.dumps(results, indent=1))
        summarise([r for r in results if r["set"] == data_set])


def ours(folder: Path, seed: int, recipe: list[str]) -> dict[str, Any]:
    """One `retort train` as a user would type it, timed from the outside."""
    with tempfile.TemporaryDirectory() as models:
        command = [sys.executable, "-m", "retort", "train", "--json", "--seed", str(seed), *recipe]
        command += ["--data", str(folder / "train.csv"), "--test", str(folder / "test.csv")]
        command += ["--models-dir", models, "--checkpoint-dir", f"{models}/checkpoints", "--log-dir", f"{models}/logs"]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    metrics = json.loads(done.stdout)["metrics"]
    return {
        "accuracy": metrics["test"]["accuracy"],
        "macro_f1": metrics["test"]["macro_f1"],
        "ece": metrics["test"]["ece"],
        "seconds": round(seconds, 1),
        "examples_per_second": metrics["examples_per_second"],
        "stages": metrics["seconds"],
        "peak_rss_mb": metrics["peak_rss_mb"],
    }


def trainer(folder: Path, seed: int, text: str, label: str, epochs: int) -> dict[str, Any]:
    """The peer on the same files."""
    command = [str(peer_python("hf")), str(HERE / "peers" / "hf_trainer.py"), "--model", str(resolve_encoder("minilm"))]
    command += ["--train", str(folder / "train.csv"), "--test", str(folder / "test.csv"), "--text", text]
    command += ["--label", label, "--seed", str(seed), "--epochs", str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def summarise(results: list[dict[str, Any]]) -> None:
    """Mean accuracy, median seconds and examples/s of each run; then the ratios."""
    by_run: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_run.setdefault(result["run"], []).append(result)
    print(f"\n{results[0]['set']}: run | mean test accuracy | median seconds | median examples/s")
    table = {}
    for run, rows in by_run.items():
        accuracy = statistics.mean(r["accuracy"] for r in rows)
        seconds, speed = (statistics.median(r[k] for r in rows) for k in ("seconds", "examples_per_second"))
        table[run] = (accuracy, seconds, speed)
        print(f"  {run:10} | {accuracy:.4f} | {seconds:7.1f} | {speed:6.1f}")
    if "trainer" in table:
        accuracy, seconds, speed = table.pop("trainer")
        reached = [(s, run) for run, (a, s, _) in table.items() if a >= accuracy]
        if reached:
            best, run = min(reached)
            print(f"  time to Trainer's final accuracy: {run} in {best:.0f} s, {seconds / best:.1f} times shorter")
        if "default" in table:
            print(f"  examples/s while fine-tuning: {table['default'][2] / speed:.2f} of Trainer's\n")


if __name__ == "__main__":
    main()
