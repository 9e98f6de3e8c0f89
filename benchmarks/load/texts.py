"""What the clients ask: texts of two workloads, the same in each run."""

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path

import tokenizers

# (share of the texts, fewest tokens, most tokens), special tokens included
MIX = ((0.6, 5, 30), (0.3, 30, 128), (0.1, 128, 256))
N_TEXTS = 2000


def read_labelled(file: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of one of banking77's files."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return [row["text"] for row in rows], [row["category"] for row in rows]


def build_workloads(data_dir: Path, tokenizer_file: Path) -> dict[str, list[str]]:
    """`short`: banking77's test texts, shuffled.  `mixed`: see `MIX`; what lies above 30 tokens is cut from paragraphs.

    The lengths of a class are spread evenly.
    """
    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    draw = random.Random(0)  # noqa: S311
    short, _ = read_labelled(data_dir / "banking77" / "test.csv")
    draw.shuffle(short)
    squad = json.loads((data_dir / "squad_v11_train_prefix" / "train-v1.1.prefix.json").read_text(encoding="utf-8"))
    paragraphs = [p["context"] for article in squad["data"] for p in article["paragraphs"]]
    draw.shuffle(paragraphs)
    mixed = [text for text in short if MIX[0][1] <= count_tokens(tokenizer, text) <= MIX[0][2]]
    mixed = mixed[: round(MIX[0][0] * N_TEXTS)]
    pieces = iter(paragraphs * 10)
    for share, fewest, most in MIX[1:]:
        mixed += [_cut(tokenizer, pieces, draw.randint(fewest, most)) for _ in range(round(share * N_TEXTS))]
    draw.shuffle(mixed)
    return {"short": short, "mixed": mixed}


def count_tokens(tokenizer: tokenizers.Tokenizer, text: str) -> int:
    """Special tokens included."""
    return len(tokenizer.encode(text).ids)


def describe(tokenizer_file: Path, texts: Sequence[str], max_seq_len: int) -> str:
    """How long they are, and how many the model cuts."""
    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    lengths = sorted(count_tokens(tokenizer, text) for text in texts)
    n_cut = sum(n > max_seq_len for n in lengths)
    return (
        f"{len(texts)} texts, {sum(lengths) / len(lengths):.1f} tokens on average, "
        f"median {lengths[len(lengths) // 2]}, longest {lengths[-1]}; {n_cut} are cut to {max_seq_len}"
    )


def _cut(tokenizer: tokenizers.Tokenizer, paragraphs: "object", n_tokens: int) -> str:
    """The start of the next paragraph that is long enough, up to the token that makes it `n_tokens` long."""
    for paragraph in paragraphs:  # type: ignore[attr-defined]
        encoding = tokenizer.encode(paragraph)
        if len(encoding.ids) >= n_tokens:
            return str(paragraph[: encoding.offsets[n_tokens - 2][1]])
    raise ValueError("The paragraphs are used up.")
