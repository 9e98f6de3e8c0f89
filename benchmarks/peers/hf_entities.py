"""The peer of `entities.py`: Hugging Face `Trainer` for token classification, as its documentation would set it up.

Runs in the peers' own environment (torch, transformers, accelerate, seqeval).  Prints one JSON object.
`AutoModelForTokenClassification`, the first token of a word carries its tag, AdamW, linear decay, bfloat16 autocast,
batches grouped by length and padded to their longest; the epoch with the best validation F1 counts.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

Sentence = tuple[list[str], list[str]]  # words, tags
IGNORED = -100


def read(path: str) -> list[Sentence]:
    """Sentences of a CoNLL file, whose last column is the tag."""
    sentences: list[Sentence] = [([], [])]
    with open(path, encoding="utf-8") as f:  # noqa: PTH123
        for line in f:
            if line.strip():
                word, *_, tag = line.rstrip("\r\n").split("\t")
                sentences[-1][0].append(word)
                sentences[-1][1].append(tag.strip())
            elif sentences[-1][0]:
                sentences.append(([], []))
    return [sentence for sentence in sentences if sentence[0]]


class Sentences(torch.utils.data.Dataset):
    """Sentences as the model takes them."""

    def __init__(self, sentences: list[Sentence], tokenizer: Any, tags: list[str], max_seq_len: int) -> None:
        words = [list(words) for words, _ in sentences]
        self.encodings = tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_seq_len)
        self.targets = []
        for row, (_, found) in enumerate(sentences):
            target, last = [], None
            for word in self.encodings.word_ids(row):
                target.append(IGNORED if word is None or word == last else tags.index(found[word]))
                last = word
            self.targets.append(target)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> dict[str, object]:
        return {name: column[i] for name, column in self.encodings.items()} | {"labels": self.targets[i]}


class Epochs(TrainerCallback):
    """Notes scores and training seconds (evaluation left out) after each epoch."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.evaluate: Any = None
        self.start, self.paused = time.perf_counter(), 0.0

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, *_: object, **__: object) -> None:
        now = time.perf_counter()
        self.history.append({"seconds": round(now - self.start - self.paused, 1)} | self.evaluate())
        self.paused += time.perf_counter() - now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "train", "validation", "test"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--learn-rate", type=float, required=True)
    parser.add_argument("--max-seq-len", type=int, default=128)
    args = parser.parse_args()
    set_seed(args.seed)
    torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    train, validation, test = map(read, (args.train, args.validation, args.test))
    kinds = sorted({tag[2:] for _, tags in train for tag in tags if tag != "O"})
    tags = ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]
    sets = [Sentences(part, tokenizer, tags, args.max_seq_len) for part in (train, validation, test)]
    model = AutoModelForTokenClassification.from_pretrained(args.model, num_labels=len(tags))
    epochs = Epochs()

    def score(predicted: Any) -> dict[str, float]:
        best = np.argmax(predicted.predictions, -1)
        both = zip(best, predicted.label_ids, strict=True)
        pairs = [(row[gold != IGNORED], gold[gold != IGNORED]) for row, gold in both]
        found, actual = ([[tags[tag] for tag in each] for each in side] for side in zip(*pairs, strict=True))
        strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
        metrics = {"f1": f1_score, "precision": precision_score, "recall": recall_score}
        return {name: float(metric(actual, found, **strict)) for name, metric in metrics.items()}

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="/tmp/retort-hf-entities",  # noqa: S108
            num_train_epochs=args.epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            learning_rate=args.learn_rate,
            warmup_steps=0.1,
            weight_decay=0.01,
            bf16=True,
            use_cpu=True,
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            seed=args.seed,
            disable_tqdm=True,
        ),
        train_dataset=sets[0],
        data_collator=DataCollatorForTokenClassification(tokenizer),
        compute_metrics=score,
        callbacks=[epochs],
    )
    epochs.evaluate = lambda: {
        "validation": trainer.evaluate(sets[1])["eval_f1"],
        "test": {name: trainer_score for name, trainer_score in trainer.evaluate(sets[2]).items() if name in WANTED},
    }
    trainer.train()
    best = max(epochs.history, key=lambda epoch: epoch["validation"])
    seconds = epochs.history[-1]["seconds"]
    print(
        json.dumps(
            {
                "validation_f1": best["validation"],
                **{name.removeprefix("eval_"): value for name, value in best["test"].items()},
                "seconds": seconds,
                "examples_per_second": round(len(train) * args.epochs / seconds, 1),
                "history": epochs.history,
            }
        )
    )


WANTED = ("eval_f1", "eval_precision", "eval_recall")

if __name__ == "__main__":
    main()
