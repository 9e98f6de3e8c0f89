"""Does `transformers` give a trained model's own answers?  Run where it is installed, with PyTorch:

    python benchmarks/peers/check_transformers.py models/trained/<model> [--tolerance 1e-3]

Loads the folder with AutoTokenizer and AutoModelForSequenceClassification, replays `golden.jsonl` and fails (exit 1)
where a logit is further off than the tolerance.  A folder that says of itself that it cannot be expressed is skipped.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    facts = json.loads((options.model / "config.json").read_text(encoding="utf-8")).get("retort_encoder", {})
    if not facts.get("transformers_compatible", True):
        print(f"skipped: {facts.get('why')}")
        return 0
    lines = (options.model / "golden.jsonl").read_text(encoding="utf-8").split("\n")
    golden = [json.loads(line) for line in lines if line.strip()]
    worst, text = replay(options.model, golden)
    print(f"{len(golden)} golden inputs, largest difference of a logit: {worst:.2e} ({text!r})")
    return 0 if golden and worst <= options.tolerance else 1


def replay(folder: Path, golden: list[dict[str, object]]) -> tuple[float, str]:
    """The largest difference of any logit, and its text; the inputs run as one padded batch, then each alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    texts = [line["text"] for line in golden]
    pairs = [line["text_pair"] for line in golden] if any("text_pair" in line for line in golden) else None
    expected = torch.tensor([line["logits"] for line in golden])
    batches = [range(len(golden)), *([i] for i in range(len(golden)))]
    worst, where = 0.0, ""
    for batch in batches:
        some = ([texts[i] for i in batch], [pairs[i] for i in batch] if pairs else None)
        encoded = tokenizer(*some, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            differences = (model(**encoded).logits - expected[list(batch)]).abs().amax(1)
        row = int(differences.argmax())
        if float(differences[row]) >= worst:
            worst, where = float(differences[row]), texts[list(batch)[row]]
    return worst, where


if __name__ == "__main__":
    sys.exit(main())
