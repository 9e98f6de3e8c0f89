"""The peer of `training_speed.py`: one training step of `BertForSequenceClassification` after another, as it is told.

Runs in the peers' own environment.  Reads lines `<precision> <number of steps>` and answers each with the seconds of
every step, as JSON.
"""

import argparse
import json
import os
import sys
import time

import torch
from transformers import AutoModelForSequenceClassification

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--batch-size", type=int, required=True)
parser.add_argument("--seq-len", type=int, required=True)
parser.add_argument("--n-labels", type=int, default=77)
args = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(len(os.sched_getaffinity(0)))
model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=args.n_labels).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
shape = (args.batch_size, args.seq_len)
batch = {
    "input_ids": torch.randint(1000, 30000, shape),
    "attention_mask": torch.ones(shape, dtype=torch.long),
    "token_type_ids": torch.zeros(shape, dtype=torch.long),
    "labels": torch.randint(0, args.n_labels, (args.batch_size,)),
}


def step(precision: str) -> float:
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start


for line in sys.stdin:
    precision, n_steps = line.split()
    print(json.dumps([step(precision) for _ in range(int(n_steps))]), flush=True)
