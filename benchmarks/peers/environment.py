"""Where the peers live: one virtual environment each under `benchmarks/.envs`, made on first use."""

import json
import subprocess
import sys
from pathlib import Path

_ONNX = ["onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy==2.4.6"]
_TORCH = "torch==2.13.0"  # its CPU build; named first, or a package that asks for torch brings a CUDA build
ENVIRONMENTS = {
    "hf": [_TORCH, "transformers==5.23.0", "accelerate", "seqeval==1.2.2", "flask", "gunicorn==27.0.1", "psutil"],
    "ort": [*_ONNX, "onnx==1.23.2", "flask==3.1.3", "gunicorn==27.0.1"],
    "litserve": [_TORCH, "litserve==0.2.19", *_ONNX],
    "bentoml": ["bentoml==1.4.40", *_ONNX],
    "infinity": [_TORCH, "infinity-emb[server,torch,optimum]==0.0.78"],
    "mlserver": ["mlserver==1.7.1", *_ONNX],
    "ray": ["ray[serve]==2.60.0", *_ONNX],
}
_FOLDER = Path(__file__).parents[1] / ".envs"


def peer_python(name: str) -> Path:
    """The Python of peer environment `name`, installed when it is not there yet or was made of other packages.

    Raises CalledProcessError: something cannot be installed; pip has said what.
    """
    folder = _FOLDER / name
    python, made_of = folder / "bin" / "python", folder / "installed"
    wanted = json.dumps(ENVIRONMENTS[name])
    if not made_of.exists() or made_of.read_text() != wanted:
        print(f"installing {' '.join(ENVIRONMENTS[name])}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *ENVIRONMENTS[name]], check=True)
        made_of.write_text(wanted)
    return python
