# Trains and tests.  The working tree is mounted at /work when it runs (see scripts/run), so code changes need no build.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium git make \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/retort
ENV PATH=/opt/retort/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

WORKDIR /work
COPY requirements-build.txt constraints-build.txt requirements-dev.txt ./
RUN python -m pip install --upgrade --require-hashes -r requirements-build.txt \
    && PIP_BUILD_CONSTRAINT=constraints-build.txt python -m pip install --no-deps --require-hashes -r requirements-dev.txt

# Editable: what is installed is the address /work/src.
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m pip install --no-deps --no-build-isolation --editable .

CMD ["python", "-m", "retort", "--help"]
