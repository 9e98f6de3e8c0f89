# Trains and tests.  The working tree is mounted at /work when it runs (see scripts/run), so code changes need no build.
# `make build_dev`, or: docker build -f dev.Dockerfile -t retort-dev .      (--build-arg GPU=1 adds CUDA's libraries)
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM $BASE
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium git make \
    && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/retort/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy VIRTUAL_ENV=/opt/retort

WORKDIR /work
COPY requirements-image.txt requirements-build.txt requirements-dev.txt requirements-gpu.txt constraints-build.txt ./
ARG GPU=
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /opt/uv \
    && /opt/uv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements-image.txt \
    && python -m venv --without-pip /opt/retort \
    && /opt/uv/bin/uv pip install --require-hashes -r requirements-build.txt \
    && /opt/uv/bin/uv pip install --no-deps --require-hashes --build-constraints constraints-build.txt -r requirements-dev.txt \
    && if [ -n "$GPU" ]; then /opt/uv/bin/uv pip install --no-deps --require-hashes -r requirements-gpu.txt; fi

# Editable: what is installed is the address /work/src.
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/uv/bin/uv pip install --no-deps --no-build-isolation --editable .

CMD ["python", "-m", "retort", "--help"]

# scripts/image adds version and revision.
ARG BASE
LABEL org.opencontainers.image.title="Retort" \
      org.opencontainers.image.description="Fine-tunes BERT and ALBERT models, and tests them" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="$BASE"
