"""A peer of `serving.py`: MLServer, a runtime of its own kind with adaptive batching, on onnxruntime's dynamic int8.

Runs in the environment `mlserver`: inference in a thread of the server's process (`parallel_workers` 0), two inference
threads, batches of up to 32 requests, 2 ms of waiting (10 ms took a little less CPU, and longer to answer one client).
"""

import argparse
import asyncio

from int8_model import Int8Model
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    """Texts in, labels out, in the V2 inference protocol."""

    async def load(self) -> bool:
        extra = self.settings.parameters.extra
        self._model = Int8Model(extra["folder"], extra["threads"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        found = await asyncio.get_running_loop().run_in_executor(None, self._model.classify, texts)
        output = StringCodec.encode_output("labels", [label for label, _ in found])
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--wait-s", type=float, default=0.002)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    settings = Settings(
        host="127.0.0.1",
        http_port=args.port,
        grpc_port=args.port + 1,
        metrics_port=args.port + 2,
        parallel_workers=0,
        gzip_enabled=False,
        debug=False,
    )
    model = ModelSettings(
        name="banking77",
        implementation=Runtime,
        max_batch_size=args.batch,
        max_batch_time=args.wait_s,
        parameters={"extra": {"folder": args.model, "threads": args.threads}},
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(main())
