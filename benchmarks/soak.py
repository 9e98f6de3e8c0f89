"""What must hold for longer than a test may take: real processes, overload, swaps, kills, memory.

    python benchmarks/soak.py [NAME ...] [--models-dir FOLDER] [--seconds 60] [--times 10] [--swaps 100] …

Names: overload, swaps, sigterms, kills, memory, poison, schemathesis; all of them without one.  Models are made for
it, with random weights; --models-dir takes a real one for overload and kills.  Prints numbers; ends with 1 when a
promise is broken.  `docs/reliability.md` says what is promised.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from soaking.ends import kills, sigterms
from soaking.mixture import memory, poison, schemathesis
from soaking.overload import overload
from soaking.promise import Report
from soaking.swaps import swaps

SOAKS: dict[str, Callable[[Report, argparse.Namespace, Path], None]] = {
    soak.__name__: soak for soak in (overload, swaps, sigterms, kills, memory, poison, schemathesis)
}


def main() -> int:
    args = _parse_arguments()
    args.command = [sys.executable, "-m", "retort", "serve", "--port"]
    broken = []
    for name in args.names or SOAKS:
        print(name, flush=True)
        report = Report(name)
        with tempfile.TemporaryDirectory() as folder:
            SOAKS[name](report, args, Path(folder))
        broken += report.broken
    print(f"{len(broken)} promises broken" if broken else "every promise was kept")
    return bool(broken)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SOAKS))
    parser.add_argument("--models-dir", type=Path, help="a real model for overload and kills")
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--times", type=float, default=10, help="of its capacity that are offered")
    parser.add_argument("--words", type=int, default=60, help="of each text that is offered")
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--sigterms", type=int, default=50)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--requests", type=int, default=100_000, help="for memory")
    parser.add_argument("--cases", type=int, default=1000, help="an operation, for schemathesis")
    args = parser.parse_args()
    if unknown := set(args.names) - set(SOAKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(SOAKS)}")
    return args


if __name__ == "__main__":
    sys.exit(main())
