"""Servers that are stopped or killed under load, over and over."""

import signal
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hostile_requests import GOOD
from test_ends import BY_THREADS, ask_until_told_to_stop

from served import Server, serving
from soaking.models import make_tiny
from soaking.promise import Report


def sigterms(report: Report, args: Namespace, folder: Path) -> None:
    """`args.sigterms` of them; clients keep their connections and send one or five requests at a time."""
    make_tiny(folder / "models")
    n_answers, n_lines, lost, codes = 0, 0, [], set()
    for n in range(args.sigterms):
        log = folder / "log.jsonl"
        with ThreadPoolExecutor(6) as pool, serving(folder / "models", log=log, command=args.command) as server:
            kinds = [(GOOD, 1), (BY_THREADS, 1), (GOOD, 5)] * 2
            asking = [pool.submit(ask_until_told_to_stop, server, *kind) for kind in kinds]
            time.sleep(0.2 + n % 10 / 50)
            server.process.send_signal(signal.SIGTERM)
            codes.add(server.process.wait(60))
            lost += [repr(e) for future in asking if (e := future.exception())]
            n_answers += sum(future.result() for future in asking if not future.exception())
            n_lines += log.read_text().count("\n")
    report.say(f"{args.sigterms} SIGTERMs, {n_answers} answers, {n_lines} lines")
    report.check(not lost and n_answers == n_lines, f"{len(lost)} clients lost an answer {lost[:3]}")
    report.check(codes == {0}, f"exit codes {sorted(codes)}")


def kills(report: Report, args: Namespace, folder: Path) -> None:
    """`kill -9` of the worker, `args.kills` times: how long until it answers again, beside how long a start takes."""
    if args.models_dir is None:
        make_tiny(folder / "models")
    started = time.perf_counter()
    with serving(args.models_dir or folder / "models", log=folder / "log.jsonl", command=args.command) as server:
        _predict(server)
        load_s, gone_s = time.perf_counter() - started, []
        for _ in range(args.kills):
            started = time.perf_counter()
            server.worker.kill()
            while not _predict(server):
                time.sleep(0.01)
            gone_s.append(time.perf_counter() - started)
            server.wait_until_ready()
    report.say(f"first answer {load_s:.2f} s after the start")
    report.check(max(gone_s) <= load_s + 2, f"back {max(gone_s):.2f} s after the slowest of {args.kills} kills")


def _predict(server: Server) -> bool:
    try:
        with server.call() as wire:
            wire.send(GOOD)
            return wire.read_answer().status == 200
    except (OSError, EOFError):
        return False
