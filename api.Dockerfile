# Serves, and holds nothing else: no TensorFlow, no compiler, no pip.  `make build_api`, or:
#   docker build -f api.Dockerfile -t retort-api .
#   docker run -p 127.0.0.1:5000:5000 retort-api                                  the model that was pointed to at build
#   docker run -p 127.0.0.1:5000:5000 -v "$PWD/models:/models:ro" retort-api      what models/ points to, as it changes
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM $BASE AS packages
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy VIRTUAL_ENV=/opt/retort
WORKDIR /build
COPY requirements-image.txt requirements-build.txt requirements-api.txt ./
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements-image.txt \
    && python -m venv --without-pip /opt/retort \
    && /opt/uv/bin/uv pip install --no-deps --no-build --require-hashes -r requirements-api.txt

FROM packages AS code
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN --mount=type=cache,target=/root/.cache \
    /opt/uv/bin/uv pip install --no-deps --build-constraints requirements-build.txt --prefix /code .

# Models are ONNX files on the CPU: the plugins for other devices, the readers of other formats and the command-line
# tools are a third of the runtime's size, and the reader of ONNX loads none of them.  Nobody edits or tests here either.
FROM packages AS slim
WORKDIR /opt/retort/lib/python3.11/site-packages
RUN rm -rf openvino/libs/cache.json openvino/tools \
        openvino/libs/libopenvino_intel_gpu_plugin.so openvino/libs/libopenvino_intel_npu_plugin.so \
        openvino/libs/libopenvino_auto_plugin.so openvino/libs/libopenvino_auto_batch_plugin.so \
        openvino/libs/libopenvino_hetero_plugin.so openvino/libs/libopenvino_tensorflow_frontend.so.* \
        openvino/libs/libopenvino_tensorflow_lite_frontend.so.* openvino/libs/libopenvino_pytorch_frontend.so.* \
        openvino/libs/libopenvino_paddle_frontend.so.* openvino/libs/libopenvino_gguf_frontend.so.* \
        openvino/libs/libopenvino_jax_frontend.so.* \
    && rm -rf swagger_ui/static/swagger-editor* swagger_ui/static/*-es-bundle* \
    && find numpy -type d -name tests -prune -exec rm -rf {} + \
    && find /opt/retort/bin -mindepth 1 ! -name 'python*' -delete

# The models that serve, and no others.  BAKE=0 leaves them out, too.  The pointer is copied so that another one is
# another layer: some engines do not look into what is mounted.
FROM code AS models
ARG BAKE=1
COPY scripts/bake.py models/[.l]* ./
RUN --mount=type=bind,source=models,target=/context/models \
    mkdir /models && if [ "$BAKE" != 0 ]; then \
        PYTHONPATH=/code/lib/python3.11/site-packages /opt/retort/bin/python bake.py /context/models /models; fi

FROM $BASE
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin retort
COPY --from=slim /opt/retort /opt/retort
COPY --from=code /code /opt/retort
COPY --from=models /models /models
ENV PATH=/opt/retort/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RETORT_HOST=0.0.0.0
# Port 5000 and /models are the defaults here; said as variables they would overrule what a cloud asks for.
USER 10001:10001
WORKDIR /
EXPOSE 5000
STOPSIGNAL SIGTERM
# Without `site` and urllib it costs a third of what it would.  A port that is an option is not seen, RETORT_PORT is.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-IS", "-c", "import os, socket; s = socket.create_connection(('127.0.0.1', int(os.environ.get('RETORT_PORT') or 5000)), 2); s.sendall(b'GET /readyz HTTP/1.0\\r\\n\\r\\n'); raise SystemExit(b' 200 ' not in s.recv(64))"]
ENTRYPOINT ["python", "-m", "retort"]
CMD ["serve"]

# scripts/image adds version and revision.
ARG BASE
LABEL org.opencontainers.image.title="Retort API" \
      org.opencontainers.image.description="Serves fine-tuned BERT and ALBERT models as a JSON API" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="$BASE"
