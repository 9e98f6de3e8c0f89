"""A peer of `serving.py`: Ray Serve with `@serve.batch`, on onnxruntime's dynamic int8.

Runs in the environment `ray`: one replica with two inference threads, batches of up to 32 texts, 5 ms of waiting (1 ms
took more CPU a text; so did two replicas of one thread).
"""

import argparse
import asyncio
import time

import ray
from int8_model import Int8Model
from ray import serve
from starlette.requests import Request


def build(folder: str, n_threads: int, batch: int, wait_s: float, replicas: int) -> serve.Application:
    @serve.deployment(num_replicas=replicas, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=256)
    class Classifier:
        """A request's texts are batched with those of others."""

        def __init__(self) -> None:
            self._model = Int8Model(folder, n_threads)

        @serve.batch(max_batch_size=batch, batch_wait_timeout_s=wait_s)
        async def _classify(self, texts: list[str]) -> list[tuple[str, float]]:
            return await asyncio.get_running_loop().run_in_executor(None, self._model.classify, texts)

        async def __call__(self, request: Request) -> dict[str, list[object]]:
            texts = (await request.json())["x"]
            found = await asyncio.gather(*(self._classify(text) for text in texts))
            return {"predictions": [label for label, _ in found], "probabilities": [score for _, score in found]}

    return Classifier.bind()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--wait-s", type=float, default=0.005)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--replicas", type=int, default=1)
    args = parser.parse_args()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": args.port}, proxy_location="HeadOnly")
    serve.run(
        build(args.model, args.threads, args.batch, args.wait_s, args.replicas),
        name="banking77",
        route_prefix="/predict",
    )
    while True:
        time.sleep(60)
