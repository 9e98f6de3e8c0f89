# Serves, and holds nothing else: no TensorFlow, no compiler, no pip.  Models are mounted at /models:
#   docker run -p 127.0.0.1:5000:5000 -v "$PWD/models:/models:ro" retort-api
FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/retort
WORKDIR /build
COPY requirements-build.txt requirements-api.txt ./
RUN /opt/retort/bin/python -m pip install --upgrade --require-hashes -r requirements-build.txt \
    && /opt/retort/bin/python -m pip install --no-deps --only-binary :all: --require-hashes -r requirements-api.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/retort/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/retort/bin/python -m pip uninstall --yes setuptools wheel pip
# Models are ONNX files on the CPU: the plugins for other devices, the readers of other formats and the command-line
# tools are a third of the runtime's size.  The reader of ONNX loads none of them.
RUN cd /opt/retort/lib/python3.11/site-packages/openvino \
    && rm -rf libs/cache.json tools libs/libopenvino_intel_gpu_plugin.so libs/libopenvino_intel_npu_plugin.so \
        libs/libopenvino_auto_plugin.so libs/libopenvino_auto_batch_plugin.so libs/libopenvino_hetero_plugin.so \
        libs/libopenvino_tensorflow_frontend.so.* libs/libopenvino_tensorflow_lite_frontend.so.* \
        libs/libopenvino_pytorch_frontend.so.* libs/libopenvino_paddle_frontend.so.* \
        libs/libopenvino_gguf_frontend.so.* libs/libopenvino_jax_frontend.so.*

FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin retort
COPY --from=build /opt/retort /opt/retort
ENV PATH=/opt/retort/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RETORT_HOST=0.0.0.0
# Port 5000 and /models are the defaults here; said as variables they would overrule what a cloud asks for.
USER 10001:10001
WORKDIR /
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"RETORT_PORT\", 5000)}/health_check', timeout=2)"]
ENTRYPOINT ["python", "-m", "retort"]
CMD ["serve"]
