"""Every setting, once: field, default, sentence, check.

The command line (`cli.py`), the environment (`RETORT_<FIELD>`) and the README's tables are made from these classes.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LongText = Literal["head", "head_tail", "windows"]
Pooling = Literal["mean", "cls"]
Network = IPv4Network | IPv6Network


def parse_networks(text: str) -> list[Network]:
    """Addresses and networks such as `10.0.0.0/8, ::1`.  Raises ValueError, naming the part that is none."""
    return [ip_network(part.strip()) for part in text.split(",") if part.strip()]


class Settings(BaseSettings):
    """What all settings share: they come from arguments, then `RETORT_*` variables, then defaults."""

    model_config = SettingsConfigDict(
        env_prefix="RETORT_", env_ignore_empty=True, extra="forbid", frozen=True, protected_namespaces=()
    )


class TrainSettings(Settings):
    """What `retort train` (and so `make train`) can be told."""

    data: Path = Field(Path("samples/questions.csv"), description="Labelled text: .csv .tsv .jsonl .parquet, also .gz.")
    validation: Path | None = Field(None, description="Validation file; otherwise a part of --data is set aside.")
    test: Path | None = Field(None, description="Test file; otherwise a part of --data is set aside.")
    text_column: str | None = Field(None, description="Column of the text; guessed when not given.")
    text_pair_column: str | None = Field(None, description="Column of the second text of sentence pairs.")
    label_column: str | None = Field(None, description="Column of the label; guessed when not given.")
    task: str = Field("classification", description="What to learn.")
    model: str = Field("minilm", description="Encoder: a name of the catalogue or a folder.")

    n_epochs: Annotated[int, Field(ge=1, le=1000)] = Field(3, description="Passes over the training data.")
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(32, description="Texts a step.")
    max_seq_len: Annotated[int, Field(ge=8, le=512)] = Field(128, description="Longest encoding, in tokens.")
    max_learn_rate: Annotated[float, Field(gt=0, le=1)] = Field(5e-5, description="Peak of the learning rate.")
    min_learn_rate: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="Learning rate at the end.")
    warmup_proportion: Annotated[float, Field(ge=0, le=1)] = Field(0.1, description="Share of training that warms up.")

    schedule: Literal["linear", "exponential"] = Field(
        "linear", description="linear: each step; exponential: each epoch."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="Seed of the split, the order and the dropout.")
    class_weights: Literal["none", "balanced"] = Field("none", description="balanced: rare labels weigh more.")
    early_stopping_patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Stop after so many epochs without a better validation score; 0: never."
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Dropout of encoder and head; the encoder's own configuration when not given."
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(0.01, description="Decoupled weight decay (AdamW).")
    freeze: str = Field("none", description="Layers kept as they are, from the bottom: none, a number, or all.")
    lora_rank: Annotated[int, Field(ge=0, le=256)] = Field(0, description="Rank of LoRA updates; 0: full fine-tuning.")
    few_shot: bool = Field(False, description="Keep the encoder and fit only the head, in seconds.")
    pooling: Pooling | None = Field(None, description="What stands for the text; follows the encoder when not given.")
    long_text: LongText = Field("head", description="Of longer texts: the head, head and tail, or all in windows.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Of matrix products; auto: bfloat16 where the processor has it, else float32."
    )
    gpu: Annotated[int, Field(ge=0)] | None = Field(None, description="Index of the GPU; the CPU when there is none.")

    models_dir: Path = Field(Path("models"), description="Where trained models live.")
    checkpoint_dir: Path = Field(Path(".retort/checkpoints"), description="Where unfinished training is kept.")
    log_dir: Path = Field(Path("logs"), description="Where TensorBoard finds the events of each training.")
    resume: bool = Field(False, description="Go on with the same command's unfinished training.")

    @model_validator(mode="after")
    def _rates_are_ordered(self) -> Self:
        if self.min_learn_rate > self.max_learn_rate:
            raise ValueError(f"--min-learn-rate {self.min_learn_rate:g} is above --max-learn-rate")
        return self


class ServeSettings(Settings):
    """What `retort serve` (and so `make start_api`) can be told."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(5000, description="Port to listen on.")
    models_dir: Path = Field(Path("models"), description="Where trained models and the pointer live.")
    n_threads: Annotated[int, Field(ge=0)] = Field(0, description="Inference threads; 0: as many as the CPU quota.")
    max_requests: Annotated[int, Field(ge=1, le=4096)] = Field(
        256, description="Predictions handled at once; further requests are refused with 429."
    )
    max_waiting_tokens: Annotated[int, Field(ge=1)] = Field(
        131_072, description="Tokens that may wait for the model; further requests are refused with 429."
    )
    max_batch_tokens: Annotated[int, Field(ge=0)] = Field(
        0, description="Padded tokens a batch; 0: what measured fastest with the session."
    )
    max_wait_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        0.0, description="How long an idle model waits for company before it runs a batch, in milliseconds."
    )
    request_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="Longest a request may take; clients shorten it with X-Request-Timeout-Ms. Then: 504."
    )
    stall_timeout_s: Annotated[float, Field(gt=0)] = Field(
        60.0, description="A batch that runs longer is stuck: /livez fails and the process is replaced."
    )
    max_body_bytes: Annotated[int, Field(ge=1)] = Field(4 * 2**20, description="Longest request body.")
    max_texts_per_request: Annotated[int, Field(ge=1)] = Field(10_000, description="Most texts in one request.")
    max_tokens_per_request: Annotated[int, Field(ge=1)] = Field(
        1_000_000, description="Most tokens in one request, after cutting to the model's length."
    )
    graceful_timeout_s: Annotated[int, Field(ge=1)] = Field(30, description="Time for open requests at shutdown.")
    trusted_proxies: str | None = Field(
        None,
        description="Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas; none when "
        "not given.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, given: str | None) -> str | None:
        parse_networks(given or "")
        return given


class PredictSettings(Settings):
    """What `retort predict` can be told, besides the file."""

    output: str | None = Field(
        None,
        description="Where predictions go: .csv, .jsonl (both also .gz) or .parquet; - is the terminal or a pipe; "
        "FILE.predictions.… beside the file when not given.",
    )
    models_dir: Path = Field(Path("models"), description="Where trained models and the pointer live.")
    model: str | None = Field(
        None, description="A model's folder, or its name in the pointer; else the one that serves."
    )
    text_column: str | None = Field(None, description="Column of the text; guessed when not given.")
    text_pair_column: str | None = Field(None, description="Column of the second text of sentence pairs.")
    top_k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Add a column with so many most probable labels of each text."
    )
    n_threads: Annotated[int, Field(ge=0)] = Field(0, description="Inference threads; 0: as many as the CPU quota.")
    resume: bool = Field(False, description="Go on with the same command's unfinished output.")


class EvaluateSettings(Settings):
    """What `retort evaluate` can be told, besides the file."""

    models_dir: Path = Field(Path("models"), description="Where trained models and the pointer live.")
    model: str | None = Field(
        None, description="A model's folder, or its name in the pointer; else the one that serves."
    )
    text_column: str | None = Field(None, description="Column of the text; guessed when not given.")
    text_pair_column: str | None = Field(None, description="Column of the second text of sentence pairs.")
    label_column: str | None = Field(None, description="Column of the label; guessed when not given.")
    n_threads: Annotated[int, Field(ge=0)] = Field(0, description="Inference threads; 0: as many as the CPU quota.")
