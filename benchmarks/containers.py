"""Cold start, memory and size of the api image: `retort serve` in a container against the same in a plain process.

    python benchmarks/containers.py [--models-dir models] [--repeats 5] [--image retort-api]      after: make build_api

Both serve the model that `latest_model_config.json` names.  Seconds run from the command (`podman run`, or
`python -m retort serve`) to the first answer of `POST /predict`; memory is the proportional set size of the server's
processes after that answer and after 200 more.  Runs take turns; the table has medians.  Only root may see the memory
of a container's processes.  Writes `benchmarks/results/containers.json`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cold_start import N_MORE, PATIENCE_S, ask, free_port, measure, memory_mib

HERE = Path(__file__).parent
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges")  # noqa: S108
PACKAGES = "/opt/retort/lib/python3.11/site-packages"
PARTS = (
    *(f"{PACKAGES}/{name}" for name in ("openvino", "numpy", "numpy.libs", "tokenizers", "uvloop")),
    PACKAGES,
    "/usr",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models-dir", type=Path, default=HERE.parent / "models")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--image", default="retort-api")
    args = parser.parse_args()
    which = subprocess.run([HERE.parent / "scripts" / "run", "--which"], check=True, capture_output=True, text=True)
    engine = which.stdout.strip()
    if engine == "local":
        raise SystemExit("expected docker or podman; neither answers `info`")
    serve = [sys.executable, "-m", "retort", "serve", "--models-dir", str(args.models_dir), "--port"]
    sides: dict[str, Callable[[], dict[str, float]]] = {
        f"{engine} run": lambda: measure_container(engine, args.image, args.models_dir.resolve()),
        "process": lambda: measure(serve),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for repeat in range(args.repeats):
        for name, side in sides.items():
            runs[name].append(side())
            print(f"{repeat + 1}/{args.repeats}  {name}: {runs[name][-1]}")
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }
    found = {"image_mb": sizes(engine, args.image), "medians": medians, "runs": runs}
    print(json.dumps({name: found[name] for name in ("image_mb", "medians")}, indent=2))
    file = HERE / "results" / "containers.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=2) + "\n")


def measure_container(engine: str, image: str, models_dir: Path) -> dict[str, float]:
    """Start a container, ask, weigh it, stop it."""
    port = free_port()
    published = ("--publish", f"127.0.0.1:{port}:{port}", "--env", f"RETORT_PORT={port}")
    mounted = ("--volume", f"{models_dir}:/models:ro,z", "--user", f"{os.getuid()}:{os.getgid()}")
    started = time.perf_counter()
    command = [engine, "run", "--rm", "--detach", *HARDENED, *published, *mounted, image]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        while not ask(port):
            if time.perf_counter() - started > PATIENCE_S:
                raise SystemExit(f"{image} does not answer; {engine} logs {name} says why")
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        inspect = [engine, "inspect", "--format", "{{.State.Pid}}", name]
        pid = int(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)
        first = memory_mib(pid)
        for _ in range(N_MORE):
            ask(port)
        later = memory_mib(pid)
        return {"first_answer_s": round(seconds, 2), "memory_mib": first, "later_memory_mib": later}
    finally:
        subprocess.run([engine, "stop", "--time", "10", name], check=True, capture_output=True)


def sizes(engine: str, image: str) -> dict[str, float]:
    """The image unpacked, and its parts, in MB; a folder that holds others of them without these."""
    inspect = [engine, "image", "inspect", "--format", "{{.Size}}", image]
    whole = int(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)
    look = [engine, "run", "--rm", "--entrypoint", "", image, "du", "-sk", *PARTS]
    listed = subprocess.run(look, check=True, capture_output=True, text=True).stdout
    parts = {path: int(kib) * 1.024e-3 for kib, path in (line.split() for line in listed.splitlines())}
    return {"whole": round(whole / 1e6)} | {path: round(mb) for path, mb in parts.items()}


if __name__ == "__main__":
    main()
