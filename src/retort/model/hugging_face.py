"""Folders in Hugging Face's layout become a configuration and weights, and back.  No PyTorch: safetensors only.

A trained model becomes a folder that `transformers` reads as `BertForSequenceClassification`, `…ForTokenClassification`
or `Albert…`, with the same logits.  The first knows no mean pooling, so BERT with mean pooling gets one more layer that
computes it: equal attention to every token, times a number beside which the residual vanishes, then a norm.
"""

import contextlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retort.errors import BadCheckpoint
from retort.model.architecture import Config, EncoderConfig, Weights
from retort.model.configuration import HUGGING_FACE_ACTIVATIONS, parse_config, read_json_object
from retort.model.names import HUGGING_FACE, expected_shapes, gather, split_name
from retort.model.safetensors_files import open_safetensors
from retort.tokenization.tokenizer import Tokenizer

OUR_FACTS = "retort_encoder"  # the key of `config.json` for what `transformers` has no word for
TOKENS = "token_classification"  # a kind of problem that `transformers` knows by its class alone
_LOUD = 2.0**40  # times the mean of states: float32 then holds no digit of the residual; a power of two rounds nothing
_QUIET = 2.0**-14  # where tanh(z) is z to float32's last digits


def read_hugging_face(folder: Path) -> tuple[EncoderConfig, Weights]:
    """Read `config.json` and the safetensors beside it; a folder that Retort published too.

    Raises BadCheckpoint: a file is missing or damaged, or it is no BERT or ALBERT that Retort can compute.
    """
    file = folder / "config.json"
    content = read_json_object(file)
    family = content.get("model_type")
    if family not in HUGGING_FACE:
        raise BadCheckpoint(f"{file}: model_type is {family!r}; expected one of {', '.join(HUGGING_FACE)}.")
    config = parse_config(content, family, HUGGING_FACE_ACTIVATIONS, file, _pooling(folder))
    facts = content.get(OUR_FACTS)
    if not isinstance(facts, dict):
        return config, gather(config, HUGGING_FACE[family], open_safetensors(folder))
    pooled = {key: str(facts[key]) for key in ("pooling", "pooler_activation") if key in facts}
    config = replace(config, **pooled)  # type: ignore[arg-type]
    if not facts.get("pooling_layer"):
        return config, gather(config, HUGGING_FACE[family], open_safetensors(folder))
    if config.n_layers < 2 or family != "bert":
        raise BadCheckpoint(f"{file}: `{OUR_FACTS}` speaks of a pooling layer that this {family} cannot have.")
    config = replace(config, n_layers=config.n_layers - 1, n_groups=config.n_groups - 1)
    weights = gather(config, HUGGING_FACE[family], open_safetensors(folder))
    return config, {name: w for name, w in weights.items() if not name.startswith("pooler.")}


def to_hugging_face(
    config: EncoderConfig, weights: Weights, labels: Sequence[str], problem_type: str
) -> tuple[dict[str, Any], Weights]:
    """`config.json` and the state dict of a trained model, `classifier.*` and (pooling `cls`) `pooler.*` included.

    `problem_type` is `single_label_classification`, `multi_label_classification` or `token_classification`.  Where
    `transformers` cannot give the same logits, the configuration's `retort_encoder` says
    `transformers_compatible: false` and why.
    """
    facts: dict[str, Any] = {"pooling": config.pooling, "pooler_activation": config.pooler_activation}
    if problem_type == TOKENS:
        facts |= {"pooling_layer": False, "transformers_compatible": True, **_of_chain(weights)}
        weights = {name: w for name, w in weights.items() if not name.startswith("pooler.")}
    else:
        why = _why_not(config)
        facts |= {"pooling_layer": False, "transformers_compatible": not why, **({"why": why} if why else {})}
        if config.pooling == "mean" and not why:
            config, weights = _with_pooling_layer(config, weights)
            facts["pooling_layer"] = True
    return _config_json(config, labels, problem_type) | {OUR_FACTS: facts}, _state(config, weights)


def _state(config: EncoderConfig, weights: Weights) -> Weights:
    """Encoder and head under the names of `transformers`; a CRF keeps ours, which it passes over."""
    scheme, prefix = HUGGING_FACE[config.family], f"{config.family}."
    state: Weights = {}
    for name in expected_shapes(config, pooler="pooler.kernel" in weights):
        module, leaf = split_name(name)
        part, _, rest = module.partition(".")
        group = rest.partition(".")[0] if part == "layer" else "0"
        template = module.replace(f"layer.{group}.", "layer.{g}.", 1) if part == "layer" else module
        array = weights[name].T if leaf == "kernel" else weights[name]
        state[prefix + scheme.names(template, leaf, int(group))[0]] = np.ascontiguousarray(array, np.float32)
    state["classifier.weight"] = np.ascontiguousarray(weights["classifier.kernel"].T, np.float32)
    state["classifier.bias"] = np.asarray(weights["classifier.bias"], np.float32)
    return state | {name: w for name, w in weights.items() if name.startswith("crf.")}


def _of_chain(weights: Weights) -> dict[str, str]:
    """What a reader of logits must know where a CRF decides."""
    if "crf.transitions" not in weights:
        return {}
    return {"logits": "emissions: the tags of a text are its best path through the CRF of the tensors crf.*"}


def tokenizer_files(tokenizer: Tokenizer, config: Config, max_seq_len: int) -> dict[str, str]:
    """The files, by name, from which `AutoTokenizer` gives our ids, special tokens included."""
    core = json.loads(tokenizer.to_json())
    names = {each["content"]: each["id"] for each in core["added_tokens"]}
    core["post_processor"] = core.get("post_processor") or _layout(tokenizer)
    known = {
        f"{role}_token": next((n for n in found if n in names), None)
        for role, found in {
            "unk": ("[UNK]", "<unk>"),
            "sep": ("[SEP]",),
            "pad": ("[PAD]", "<pad>"),
            "cls": ("[CLS]",),
            "mask": ("[MASK]",),
        }.items()
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # takes tokenizer.json as it is
        "do_lower_case": '"lowercase": true' in tokenizer.to_json() or '"Lowercase"' in tokenizer.to_json(),
        "model_max_length": min(max_seq_len, config.max_positions),
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "split_special_tokens": True,  # "[SEP]" typed by a user stays text
        **{role: name for role, name in known.items() if name},
    }
    dump = {"tokenizer.json": core, "tokenizer_config.json": settings}
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in dump.items()}


def _why_not(config: EncoderConfig) -> str:
    """Why `transformers` cannot compute this model's logits; empty where it can."""
    if config.pooling == "mean" and config.family == "albert":
        return "mean pooling takes one more layer, and ALBERT's layers share their weights"
    if config.pooling == "cls" and config.pooler_activation != "tanh":
        return f"the pooler's activation is {config.pooler_activation}, and tanh there"
    return ""


def _with_pooling_layer(config: EncoderConfig, weights: Weights) -> tuple[EncoderConfig, Weights]:
    """The same logits through one more layer, a pooler and tanh."""
    H, group = config.hidden_size, config.n_groups
    config = replace(config, n_layers=config.n_layers + 1, n_groups=group + 1)
    made = {n: np.zeros(shape, np.float32) for n, shape in expected_shapes(config).items() if f"layer.{group}." in n}
    unit = np.eye(H, dtype=np.float32)
    made[f"layer.{group}.attention.value.kernel"] = unit
    made[f"layer.{group}.attention.output.kernel"] = unit * np.float32(_LOUD)
    made |= {n: np.ones(H, np.float32) for n in made if n.endswith(".gamma")}
    made |= {"pooler.kernel": unit * np.float32(_QUIET), "pooler.bias": np.zeros(H, np.float32)}
    made["classifier.kernel"] = weights["classifier.kernel"] / np.float32(_QUIET * math.sqrt(H))
    return config, weights | made


def _config_json(config: EncoderConfig, labels: Sequence[str], problem_type: str) -> dict[str, Any]:
    kind = {"problem_type": problem_type} if problem_type != TOKENS else {}
    return {
        "architectures": [f"{config.family.capitalize()}For{'Sequence' if kind else 'Token'}Classification"],
        "model_type": config.family,
        **kind,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_positions,
        "type_vocab_size": config.n_token_types,
        "hidden_act": config.activation,
        "layer_norm_eps": config.layer_norm_eps,
        "hidden_dropout_prob": config.hidden_dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "initializer_range": config.initializer_range,
        "pad_token_id": config.pad_token_id,
        "position_embedding_type": "absolute",
        **(
            {"embedding_size": config.embedding_size, "num_hidden_groups": config.n_groups, "inner_group_num": 1}
            if config.family == "albert"
            else {}
        ),
    }


def _layout(tokenizer: Tokenizer) -> dict[str, Any]:
    """`[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, as `tokenizer.json` writes it."""
    cls, sep = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    ids = {"[CLS]": tokenizer.cls_id, "[SEP]": tokenizer.sep_id}
    return {
        "type": "TemplateProcessing",
        "single": [cls, first, sep],
        "pair": [cls, first, sep, second, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in ids.items()},
    }


def _pooling(folder: Path) -> str:
    """`mean` where a sentence-transformers folder says so, else `cls`."""
    with contextlib.suppress(BadCheckpoint):
        if read_json_object(folder / "1_Pooling" / "config.json").get("pooling_mode_mean_tokens") is True:
            return "mean"
    return "cls"
