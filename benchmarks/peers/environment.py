"""Where the peers live: one virtual environment each under `benchmarks/.envs`, made on first use."""

import subprocess
import sys
from pathlib import Path

ENVIRONMENTS = {
    "hf": ["torch==2.13.0", "transformers==5.23.0", "accelerate", "flask", "psutil"],  # PyTorch: its CPU build
}
_FOLDER = Path(__file__).parents[1] / ".envs"


def peer_python(name: str) -> Path:
    """The Python of peer environment `name`, installed when it is not there yet."""
    folder = _FOLDER / name
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *ENVIRONMENTS[name]], check=True)
        (folder / "installed").touch()
    return python
