"""Make `minilm_hidden_states.json`: what transformers and PyTorch say of a few texts, for a test without them.

    python tests/reference/make_minilm_reference.py PATH_OF_THE_ENCODER_FOLDER

needs `torch` and `transformers`.  It keeps, of each token's hidden state, the first eight values and the norm, and the
normalised mean of each text.  The texts run as one padded batch.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

TEXTS = [
    "How do I sort a list of dictionaries by a value in Python?",
    "hi",
    "My card was charged twice, please refund it!",
    "Ünïcödé, 你好 and 🙂",
]


def main(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    batch = tokenizer(TEXTS, padding="longest", truncation=True, max_length=64, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).float()
    mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    rows = []
    for i, text in enumerate(TEXTS):
        n = int(batch["attention_mask"][i].sum())
        rows.append(
            {
                "text": text,
                "ids": batch["input_ids"][i, :n].tolist(),
                "hidden": [[round(float(x), 6) for x in token[:8]] for token in hidden[i, :n]],
                "norms": [round(float(x), 5) for x in hidden[i, :n].norm(dim=1)],
                "mean": [round(float(x), 6) for x in mean[i]],
            }
        )
    made_with = {"torch": torch.__version__, "transformers": transformers.__version__}
    target = Path(__file__).with_name("minilm_hidden_states.json")
    target.write_text(json.dumps({"made_with": made_with, "texts": rows}, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
