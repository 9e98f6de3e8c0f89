"""A peer of `serving.py`: Infinity, whose `classify` endpoint batches by itself.

Runs in the environment `infinity`, with the engine `optimum` on a folder that holds the int8 graph: batches of up
to 32 are ordered by length and run one text at a time.  The engine `torch` took more than five times the CPU.
"""

import argparse
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--engine", default="optimum")
    parser.add_argument("--batch", default="32")
    args = parser.parse_args()
    os.environ |= {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    os.chdir(args.model)
    command = Path(sys.executable).with_name("infinity_emb")
    options = {
        "--model-id": ".",  # optimum takes no other path of a folder from it
        "--served-model-name": "banking77",
        "--host": "127.0.0.1",
        "--port": args.port,
        "--engine": args.engine,
        "--device": "cpu",
        "--batch-size": args.batch,
        "--log-level": "warning",
    }
    words = [str(command), "v2", *(word for pair in options.items() for word in pair), "--no-model-warmup"]
    os.execv(words[0], words)  # noqa: S606
