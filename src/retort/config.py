"""Every setting, once: field, default, sentence, check.

The command line (`cli.py`), the environment (`RETORT_<FIELD>`) and the README's tables are made from these classes.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from os import environ
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from retort.platforms import read_platform

LongText = Literal["head", "head_tail", "windows"]
Pooling = Literal["mean", "cls"]
LogInputs = Literal["none", "hash", "text"]
Network = IPv4Network | IPv6Network
Route = Annotated[str, Field(pattern=r"^/[^<>?#\s]*$")]

KEY = re.compile(r"[!-~]{16,512}")
ORIGIN = re.compile(r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def parse_networks(text: str) -> list[Network]:
    """Addresses and networks such as `10.0.0.0/8, ::1`.  Raises ValueError, naming the part that is none."""
    return [ip_network(part) for part in split_list(text)]


def check_keys(keys: Iterable[str]) -> list[str]:
    """API keys that are long enough not to be guessed.  Raises ValueError, which names a place and never a key."""
    found = list(keys)
    if not found:
        raise ValueError("expected at least one key; there is none")
    for number, key in enumerate(found, 1):
        if not KEY.fullmatch(key):
            raise ValueError(
                f"expected keys of 16 to 512 ASCII characters without blanks; key {number} of {len(found)} has "
                f"{len(key)} characters{'' if len(key) < 16 or len(key) > 512 else ', some of them others'}"
            )
    return found


def split_list(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


class Settings(BaseSettings):
    """What all settings share: they come from arguments, then `RETORT_*` variables, then defaults."""

    model_config = SettingsConfigDict(
        env_prefix="RETORT_", env_ignore_empty=True, extra="forbid", frozen=True, protected_namespaces=()
    )


class TrainSettings(Settings):
    """What `retort train` (and so `make train`) can be told."""

    data: Path = Field(
        Path("samples/questions.csv"),
        description="Labelled text: .csv .tsv .jsonl .parquet; for entities also .conll .json; each also .gz.",
    )
    validation: Path | None = Field(None, description="Validation file; otherwise a part of --data is set aside.")
    test: Path | None = Field(None, description="Test file; otherwise a part of --data is set aside.")
    text_column: str | None = Field(None, description="Column of the text; guessed when not given.")
    text_pair_column: str | None = Field(None, description="Column of the second text of sentence pairs.")
    label_column: str | None = Field(None, description="Column of the label; guessed when not given.")
    task: str = Field("classification", description="What to learn.")
    model: str = Field("minilm", description="Encoder: a name of the catalogue, a folder, or bilstm.")
    word_vectors: Path | None = Field(
        None, description="bilstm: a text file of word vectors (fastText, GloVe) to start from, also .gz."
    )

    n_epochs: Annotated[int, Field(ge=1, le=1000)] = Field(3, description="Passes over the training data; bilstm: 15.")
    batch_size: Annotated[int, Field(ge=1, le=4096)] = Field(32, description="Texts a step.")
    max_seq_len: Annotated[int, Field(ge=8, le=512)] = Field(128, description="Longest encoding, in tokens.")
    max_learn_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        5e-5, description="Peak of the learning rate; bilstm: 0.01, entities by minilm: 0.0001."
    )
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
    long_text: LongText | None = Field(
        None,
        description="Of longer texts: the head, head and tail, or all in windows; all for entities, else the head.",
    )
    crf: bool = Field(
        False, description="Entities: learn how tags follow each other (a conditional random field); bilstm does."
    )
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

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # it may be a key

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(5000, description="Port to listen on.")
    models_dir: Path = Field(Path("models"), description="Where trained models and the pointer live.")
    n_threads: Annotated[int, Field(ge=0)] = Field(0, description="Inference threads; 0: as many as the CPU quota.")
    max_requests: Annotated[int, Field(ge=1, le=4096)] = Field(
        256,
        description="Predictions handled at once, at most half of the connections; further requests are refused with "
        "429.",
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
    max_connections: Annotated[int, Field(ge=1)] = Field(
        1024, description="Clients at once; beyond, the one that has idled longest is let go."
    )
    read_timeout_s: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Longest a client may take to send a request."
    )
    graceful_timeout_s: Annotated[int, Field(ge=1)] = Field(30, description="Time for open requests at shutdown.")
    trusted_proxies: str | None = Field(
        None,
        description="Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas; none when "
        "not given.",
    )

    health_route: Route | None = Field(None, description="One more address of /readyz, as Vertex AI wants it.")
    predict_route: Route | None = Field(None, description="One more address for predictions, as Vertex AI asks them.")
    api_keys: SecretStr | None = Field(
        None,
        description="Keys that may predict, separated by commas; everybody may when there is none. Others can see "
        "options of a running command: prefer the variable or the file.",
    )
    api_keys_file: Path | None = Field(
        None, description="File of such keys, one a line, # begins a comment; read again whenever it changes."
    )
    admin_keys: SecretStr | None = Field(
        None, description="Keys that may do everything; without them there are no addresses below /admin/."
    )
    admin_keys_file: Path | None = Field(None, description="File of such keys, like api_keys_file.")
    public_metrics: bool = Field(False, description="Answer /metrics without a key, too.")
    cors_origins: str | None = Field(
        None,
        description="Origins whose pages may ask from a browser, such as https://app.example, separated by commas, or "
        "*; none when not given.",
    )
    rate_limit_per_minute: Annotated[int, Field(ge=0)] = Field(
        0, description="Requests a minute for each key, or address where there are no keys; 0: no limit. Then: 429."
    )
    log_inputs: LogInputs = Field(
        "none", description="What the log holds of the texts: nothing, keyed hashes, or their beginnings."
    )
    log_inputs_salt: SecretStr | None = Field(
        None, description="Key of those hashes; drawn anew by each process when not given, so that nobody can guess."
    )

    @field_validator("api_keys", "admin_keys")
    @classmethod
    def _keys_are_long(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            check_keys(split_list(given.get_secret_value()))
        return given

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, given: str | None) -> str | None:
        origins = split_list(given or "")
        for origin in origins:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError("expected origins such as https://app.example or http://localhost:3000, or *")
        if "*" in origins and len(origins) > 1:
            raise ValueError("expected * alone, or origins without it")
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Called by pydantic: what a cloud says comes after arguments and `RETORT_*` variables."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, dict(read_platform(environ)))

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
