"""Inference without HTTP: runtimes, precisions, streams, batch budgets and lengths, on one model and two workloads.

    python benchmarks/sessions.py [--models-dir models] [--repeats 5] [--n-texts 400] [--data texts.csv]

Times the model that `latest_model_config.json` names, its 8-bit file made anew from `--data` (by itself the samples).
`short` are texts of 5 to 30 tokens; `mixed` has 60 % of those, 30 % of 30 to 128 and 10 % of 128 to 256 (words drawn
from the texts).  Variants are interleaved; the tables have the median of texts per second, by the clock and per
second of processor time and processor (which other work on the machine disturbs less), and the ratio to the first.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from retort.artifact import load_pointed
from retort.data.dataset import load_dataset
from retort.engine.processors import count_processors
from retort.engine.session import open_session
from retort.export.quantize import quantize
from retort.tokenization.batch import Batch, collate, plan_batches
from retort.tokenization.encoding import Encoding, encode_text
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer

HERE = Path(__file__).parent
Run = Callable[[Batch], object]
N_CPUS = count_processors()
BUDGET = 1024


@dataclass(frozen=True)
class Variant:
    """One way to run the workload: `n_streams` batches at once, of at most `budget` padded tokens, their lengths
    rounded up to a multiple."""

    name: str
    run: Run
    n_streams: int = N_CPUS
    budget: int = BUDGET
    multiple: int = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models-dir", type=Path, default=HERE.parent / "models")
    parser.add_argument("--data", type=Path, default=HERE.parent / "samples" / "questions.csv")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n-texts", type=int, default=400)
    args = parser.parse_args()
    artifact = load_pointed(args.models_dir)
    tokenizer = load_tokenizer(artifact.path / "tokenizer.json")
    texts = [row.fields["text"] for row in load_dataset(args.data).splits.train]
    encodings = [encode_text(t.ids, tokenizer, 256, "head")[0] for t in tokenizer.tokenize(texts)]
    works = draw_works(encodings, tokenizer, args.n_texts)
    with tempfile.TemporaryDirectory() as folder:
        exact, small = artifact.path / "model.onnx", Path(folder) / "model.int8.onnx"
        quantize(exact, small, encodings)
        best = open_session(small, N_CPUS, "bfloat16").run
        wide = open_session(small, 1, "bfloat16").run
        tables = {
            "runtimes and precisions": [
                Variant("onnxruntime float32", onnxruntime_run(exact), 1),
                Variant("onnxruntime 8 bits", onnxruntime_run(small), 1),
                Variant("float32", open_session(exact, N_CPUS).run),
                Variant("bfloat16", open_session(exact, N_CPUS, "bfloat16").run),
                Variant("8 bits", open_session(small, N_CPUS).run),
                Variant("8 bits with bfloat16", best),
                Variant("the same, one stream", wide, 1),
            ],
            "padded tokens a batch": [Variant(str(n), best, budget=n) for n in (1024, 256, 512, 2048, 4096)],
            "lengths rounded up to": [Variant(str(n), best, multiple=n) for n in (1, 8, 16, 32)],
        }
        for title, variants in tables.items():
            report(title, variants, works, args.repeats, tokenizer.pad_id)
        print_new_shapes(best, encodings, tokenizer.pad_id)


def draw_works(encodings: Sequence[Encoding], tokenizer: Tokenizer, n: int) -> dict[str, list[Encoding]]:
    rng = random.Random(0)  # noqa: S311
    short = [e for e in encodings if 5 <= len(e) <= 30]
    words = [token for e in encodings for token in e.ids[1:-1]]

    def draw() -> Encoding:
        share = rng.random()
        if share < 0.6:
            return rng.choice(short)
        length = rng.randint(30, 128) if share < 0.9 else rng.randint(128, 256)
        start = rng.randrange(max(1, len(words) - length))
        return encode_text(words[start : start + length - 2], tokenizer, 256, "head")[0]

    return {"short": rng.choices(short, k=2 * n), "mixed": [draw() for _ in range(n)]}


def onnxruntime_run(path: Path) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = N_CPUS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = ("input_ids", "attention_mask", "token_type_ids")
    return lambda batch: session.run(["logits"], {name: getattr(batch, name) for name in names})


def report(
    title: str, variants: Sequence[Variant], works: dict[str, list[Encoding]], repeats: int, pad_id: int
) -> None:
    print(f"\n{title:24} | " + " | ".join(f"{work}: texts/s, of processor time, ratio" for work in works))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for repeat in range(repeats + 1):  # the first round compiles kernels
        for variant in variants:
            for work, encodings in works.items():
                timed = measure(variant, encodings, pad_id)
                if repeat:
                    found.setdefault((variant.name, work), []).append(timed)
    first: dict[str, float] = {}
    for variant in variants:
        cells = []
        for work in works:
            clock, processor = (statistics.median(values) for values in zip(*found[variant.name, work], strict=True))
            ratio = processor / first.setdefault(work, processor)
            cells.append(f"{clock:7.0f} {processor:7.0f} {ratio:5.2f}")
        print(f"{variant.name:24} | " + " | ".join(cells), flush=True)


def measure(variant: Variant, encodings: Sequence[Encoding], pad_id: int) -> tuple[float, float]:
    """Texts per second by the clock, and per second of processor time on each processor."""
    lengths = [-(-len(e) // variant.multiple) * variant.multiple for e in encodings]
    plan = reversed(plan_batches(lengths, variant.budget))  # the long ones first, so that streams end together
    batches = [collate([encodings[i] for i in rows], pad_id, max(lengths[i] for i in rows)) for rows in plan]
    clock, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(variant.n_streams) as pool:
        list(pool.map(variant.run, batches))
    n = len(encodings)
    return n / (time.perf_counter() - clock), N_CPUS * n / (time.process_time() - processor)


def print_new_shapes(run: Run, encodings: Sequence[Encoding], pad_id: int) -> None:
    """What a shape costs that no batch had before, in milliseconds of processor time."""
    extra = []
    for length in range(33, 33 + 12):
        batch = collate([min(encodings, key=len)] * 7, pad_id, length)
        first, *again = [timed(run, batch) for _ in range(6)]
        extra.append(first - statistics.median(again))
    print(f"\na batch of a new shape takes {1e3 * float(np.median(extra)):.1f} ms more, the first time")


def timed(run: Run, batch: Batch) -> float:
    started = time.process_time()
    run(batch)
    return time.process_time() - started


if __name__ == "__main__":
    main()
