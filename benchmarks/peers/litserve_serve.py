"""A peer of `serving.py`: LitServe, batching, on onnxruntime's dynamic int8.

Runs in the environment `litserve`: two workers with one inference thread each, batches of up to 16 requests, 2 ms of
waiting.  One worker with two threads and batches of 32 took a tenth more CPU a text; two workers without batching, more
than that.
"""

import argparse
from typing import Any

import litserve
from int8_model import Int8Model


class Api(litserve.LitAPI):
    """A request is a list of texts; a batch is a list of requests."""

    def __init__(self, folder: str, n_threads: int, **batching: float) -> None:
        super().__init__(**batching)
        self._folder, self._n_threads = folder, n_threads

    def setup(self, device: str) -> None:
        self._model = Int8Model(self._folder, self._n_threads)

    def decode_request(self, request: dict[str, list[str]]) -> list[str]:
        return request["x"]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def unbatch(self, output: list[list[tuple[str, float]]]) -> list[list[tuple[str, float]]]:
        return output

    def predict(self, batch: list[Any]) -> list[Any]:
        if self.max_batch_size == 1:  # then it is one request
            return self._model.classify_one_by_one(batch)
        found = iter(self._model.classify([text for texts in batch for text in texts]))
        return [[next(found) for _ in texts] for texts in batch]

    def encode_response(self, output: list[tuple[str, float]]) -> dict[str, list[object]]:
        return {"predictions": [label for label, _ in output], "probabilities": [score for _, score in output]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--wait-s", type=float, default=0.002)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    api = Api(args.model, args.threads, max_batch_size=args.batch, batch_timeout=args.wait_s)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=args.workers, timeout=120)
    server.run(host="127.0.0.1", port=args.port, num_api_servers=1, generate_client_file=False, log_level="warning")
