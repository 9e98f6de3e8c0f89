"""Does training that was killed end where it would have ended?

    python benchmarks/resume.py [--kills 20] [-- further options of `retort train`]

Trains once without harm, then the same again in an empty place, `kill -9`ed at random moments and resumed with the
same command.  Both must publish the same weights, bit by bit.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    moment = random.Random(args.seed)  # noqa: S311 (no secret)
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
        start = time.perf_counter()
        subprocess.run(command(Path(whole), args.options), check=True, capture_output=True)
        seconds = time.perf_counter() - start
        print(f"never killed: {seconds:.0f} s, weights {digest(Path(whole))}", flush=True)
        kills = 0
        while kills < args.kills:
            training = subprocess.Popen(
                [*command(Path(killed), args.options), "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                training.wait(moment.uniform(1, seconds))
            except subprocess.TimeoutExpired:
                training.kill()
                training.wait()
                kills += 1
                print(f"kill {kills}", flush=True)
                continue
            check(Path(whole), Path(killed), kills)  # it finished between two kills; start over
            for model in trained(Path(killed)):
                subprocess.run(["rm", "-r", str(model)], check=True)
        subprocess.run([*command(Path(killed), args.options), "--resume"], check=True, capture_output=True)
        check(Path(whole), Path(killed), kills)
    print(f"{args.kills} kills: every training that was resumed ended with the same weights")


def command(folder: Path, options: list[str]) -> list[str]:
    places = ["--models-dir", str(folder), "--checkpoint-dir", str(folder / "checkpoints")]
    return [sys.executable, "-m", "retort", "train", *places, "--log-dir", str(folder / "logs"), *options]


def trained(folder: Path) -> list[Path]:
    return [p for p in (folder / "trained").glob("*") if not p.name.startswith(".")]


def digest(folder: Path) -> str:
    """Of every model there: one that was killed after it was published is published again when it resumes."""
    found = {hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:16] for model in trained(folder)}
    return ", ".join(sorted(found))


def check(whole: Path, killed: Path, kills: int) -> None:
    print(f"finished after {kills} kills in all: weights {digest(killed)}", flush=True)
    if digest(whole) != digest(killed):
        raise SystemExit("the weights differ")


if __name__ == "__main__":
    main()
