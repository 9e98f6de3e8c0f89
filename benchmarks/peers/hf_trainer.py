"""The peer of `quality.py`: Hugging Face `Trainer` as its documentation would set it up, at its best settings here.

Runs in the peers' own environment (torch, transformers, accelerate).  Prints one JSON object.
CLS pooling and pooler as `AutoModelForSequenceClassification` does, AdamW, linear decay, bfloat16 autocast, batches
grouped by length and padded to their longest.
"""

import argparse
import csv
import json
import time

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)


def read(path: str, text: str, label: str) -> tuple[list[str], list[str]]:
    with open(path, newline="", encoding="utf-8") as f:  # noqa: PTH123
        rows = list(csv.DictReader(f))
    return [r[text] for r in rows], [r[label] for r in rows]


class Texts(torch.utils.data.Dataset):
    def __init__(self, encodings: dict[str, list[list[int]]], targets: list[int]) -> None:
        self.encodings, self.targets = encodings, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> dict[str, object]:
        return {name: column[i] for name, column in self.encodings.items()} | {"labels": self.targets[i]}


class Epochs(TrainerCallback):
    """Notes test accuracy and training seconds (evaluation left out) after each epoch."""

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []
        self.evaluate = lambda: 0.0
        self.start, self.paused = time.perf_counter(), 0.0

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, *_: object, **__: object) -> None:
        now = time.perf_counter()
        seconds = now - self.start - self.paused
        self.history.append({"seconds": round(seconds, 1), "accuracy": self.evaluate()})
        self.paused += time.perf_counter() - now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "train", "test", "text", "label"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learn-rate", type=float, default=1e-4)
    parser.add_argument("--max-seq-len", type=int, default=128)
    args = parser.parse_args()
    set_seed(args.seed)
    torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))

    started = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    (texts, golds), (test_texts, test_golds) = (read(f, args.text, args.label) for f in (args.train, args.test))
    labels = sorted(set(golds))
    index = {label: i for i, label in enumerate(labels)}

    def encode(batch: list[str]) -> dict[str, list[list[int]]]:
        return dict(tokenizer(batch, truncation=True, max_length=args.max_seq_len, padding=False))

    train_set = Texts(encode(texts), [index[g] for g in golds])
    test_set = Texts(encode(test_texts), [index[g] for g in test_golds])
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=len(labels))
    epochs = Epochs()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="/tmp/retort-hf-trainer",  # noqa: S108
            num_train_epochs=args.epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            learning_rate=args.learn_rate,
            warmup_steps=0.1,
            bf16=True,
            use_cpu=True,
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            seed=args.seed,
            disable_tqdm=True,
        ),
        train_dataset=train_set,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: {"accuracy": float((np.argmax(p.predictions, -1) == p.label_ids).mean())},
        callbacks=[epochs],
    )
    epochs.evaluate = lambda: float(trainer.evaluate(test_set)["eval_accuracy"])
    prepared = time.perf_counter() - started
    trainer.train()
    seconds = epochs.history[-1]["seconds"]
    print(
        json.dumps(
            {
                "accuracy": epochs.history[-1]["accuracy"],
                "seconds": round(prepared + seconds, 1),
                "examples_per_second": round(len(texts) * args.epochs / seconds, 1),
                "history": epochs.history,
            }
        )
    )


if __name__ == "__main__":
    main()
