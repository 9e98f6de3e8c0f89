"""The model that all serve: trained when there is none, and copied out as the peers read it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from peers.environment import peer_python
from retort.artifact import load_pointed

HERE = Path(__file__).parents[1]
_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "model.onnx")


def train(models_dir: Path, data_dir: Path, max_seq_len: int) -> None:
    """Fine-tune MiniLM on banking77, unless `models_dir` holds a model."""
    if (models_dir / "latest_model_config.json").exists():
        return
    files = data_dir / "banking77"
    options = {
        "--data": files / "train.csv",
        "--test": files / "test.csv",
        "--max-seq-len": max_seq_len,
        "--models-dir": models_dir,
        "--checkpoint-dir": models_dir / ".checkpoints",
        "--log-dir": models_dir / ".logs",
    }
    words = [str(word) for pair in options.items() for word in pair]
    subprocess.run([sys.executable, "-m", "retort", "train", *words], check=True)


def prepare(models_dir: Path) -> Path:
    """A folder with what peers need of the model that `models_dir` points to, and an int8 graph beside it."""
    artifact = load_pointed(models_dir)
    folder = HERE / ".models" / "peers" / f"{artifact.path.name}-{artifact.checksum[:8]}"
    if (folder / "model_quantized.onnx").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copyfile(artifact.path / name, folder / name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["retort"]["max_seq_len"] = artifact.served.max_seq_len
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    subprocess.run([str(peer_python("ort")), str(HERE / "peers" / "quantise.py"), str(folder)], check=True)
    return folder


def label_in_fp32(folder: Path, texts: Sequence[str]) -> list[str]:
    """What onnxruntime answers on the fp32 graph, one text at a time."""
    command = [str(peer_python("ort")), str(HERE / "peers" / "fp32_labels.py"), str(folder)]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    found = subprocess.run(
        command, input=json.dumps(list(texts)), stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return list(json.loads(found.stdout))
