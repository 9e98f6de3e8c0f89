"""8-bit files are small, silent and close, and answer a text the same in any company."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from artifacts import random_weights, tiny_config
from retort.engine.session import Session, open_session
from retort.export.calibration import Range, find_ranges
from retort.export.onnx import build_graph, save_graph
from retort.export.quantize import activation_scale, quantize, quantize_channels, smoothing
from retort.model.architecture import EncoderConfig
from retort.tasks.base import Floats
from retort.tokenization.batch import collate
from retort.tokenization.encoding import Encoding

WIDE = {"hidden_size": 64, "embedding_size": 64, "intermediate_size": 128, "vocab_size": 500}
ALBERT = {"family": "albert", "embedding_size": 16, "n_groups": 1}
KINDS = pytest.mark.parametrize("kind", [WIDE, WIDE | {"pooling": "cls"}, WIDE | ALBERT], ids=["mean", "cls", "albert"])


def some_encodings(n: int, vocab_size: int, seed: int = 0) -> list[Encoding]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 30, n)
    return [Encoding(rng.integers(0, vocab_size, length).tolist(), int(length)) for length in lengths]


def write_both(
    config: EncoderConfig, folder: Path, scale: float = 0.1, head: str = "pooled"
) -> tuple[Session, Session]:
    """Sessions of the float32 and the 8-bit file."""
    save_graph(build_graph(config, random_weights(config, scale=scale), head), folder / "model.onnx")
    quantize(folder / "model.onnx", folder / "model.int8.onnx", some_encodings(40, config.vocab_size))
    return open_session(folder / "model.onnx", 1), open_session(folder / "model.int8.onnx", 1)


def run(session: Session, encodings: list[Encoding], length: int | None = None) -> Floats:
    return session.run(collate(encodings, 0, length))


@KINDS
def test_an_8_bit_file_is_a_third_of_the_size_and_gives_nearly_the_same_logits(kind: dict, tmp_path: Path) -> None:
    config = tiny_config(**kind)
    exact, close = (run(session, some_encodings(20, 500, seed=1)) for session in write_both(config, tmp_path))
    sizes = [(tmp_path / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    assert sizes[0] < sizes[1] / 2.5
    assert 0 < np.abs(exact - close).max() < 0.1 * np.abs(exact).max()


@KINDS
def test_an_answer_in_8_bits_depends_neither_on_company_nor_on_padding(kind: dict, tmp_path: Path) -> None:
    _, session = write_both(tiny_config(**kind), tmp_path)
    encodings = some_encodings(20, 500, seed=1)
    alone = np.concatenate([run(session, [e]) for e in encodings])
    for length in (None, 50):
        np.testing.assert_allclose(run(session, encodings, length), alone, atol=0.02 * float(np.abs(alone).max()))


@KINDS
def test_every_operator_of_an_8_bit_file_is_a_standard_one(kind: dict, tmp_path: Path) -> None:
    write_both(tiny_config(**kind), tmp_path)
    model = onnx.load(tmp_path / "model.int8.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    large = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2 and tensor.dims[0] > 8]
    assert {t.name for t in large if t.data_type == onnx.TensorProto.FLOAT} <= {
        "embeddings.position", "embeddings.word/scale", "pooler.kernel", "classifier.kernel",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [WIDE, WIDE | ALBERT], ids=["bert", "albert"])
def test_tokens_in_8_bits_are_close_in_any_company(kind: dict, tmp_path: Path) -> None:
    config, encodings = tiny_config(**kind), some_encodings(20, 500, seed=1)
    exact, close = write_both(config, tmp_path, head="tokens")
    alone = [run(close, [e])[0] for e in encodings]
    together = run(close, encodings, 50)
    scale = max(float(np.abs(each).max()) for each in alone)
    for encoding, row, each in zip(encodings, alone, together, strict=True):
        np.testing.assert_allclose(each[: len(encoding)], row, atol=0.02 * scale)
        np.testing.assert_allclose(row, run(exact, [encoding])[0], atol=0.1 * scale)


def test_tiny_models_and_a_single_short_text_are_enough(tmp_path: Path) -> None:
    config = tiny_config()
    save_graph(build_graph(config, random_weights(config)), tmp_path / "model.onnx")
    quantize(tmp_path / "model.onnx", tmp_path / "model.int8.onnx", [Encoding([2, 3], 2)])
    assert np.isfinite(run(open_session(tmp_path / "model.int8.onnx", 1), some_encodings(9, config.vocab_size))).all()


def test_weights_that_are_zero_stay_zero(tmp_path: Path) -> None:
    config = tiny_config()
    weights = {name: value * 0 for name, value in random_weights(config).items()}
    save_graph(build_graph(config, weights), tmp_path / "model.onnx")
    quantize(tmp_path / "model.onnx", tmp_path / "model.int8.onnx", some_encodings(4, config.vocab_size))
    assert not run(open_session(tmp_path / "model.int8.onnx", 1), some_encodings(4, config.vocab_size)).any()


def test_it_says_nothing_and_leaves_nothing_else_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_both(tiny_config(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.int8.onnx", "model.onnx"]


def test_channels_that_are_large_hand_their_size_to_the_weights() -> None:
    seen = Range(np.array([-100.0, -1.0, 0.0]), np.array([10.0, 1.0, 0.0]))
    kernel = np.ones((3, 5), np.float32)
    factors = smoothing(seen, [kernel])
    assert factors[0] / factors[1] == pytest.approx(100**0.9)
    assert np.isfinite(factors).all()
    assert factors.min() >= 0.01


@pytest.mark.parametrize(("low", "high"), [(-0.2, 5.0), (0.5, 3.0), (-3.0, -1.0), (0.0, 0.0), (-2.0, 2.0)])
def test_an_activation_scale_holds_its_range_and_an_exact_0(low: float, high: float) -> None:
    scale, zero = activation_scale(low, high)
    assert 0 <= zero <= 255
    assert -zero * scale <= low + scale
    assert (255 - zero) * scale >= high - scale


def test_each_channel_of_weights_uses_its_whole_range() -> None:
    weights = np.array([[1.0, -100.0], [-0.5, 50.0]], np.float32)
    octets, scales = quantize_channels(weights, axis=1)
    assert octets.tolist() == [[127, -127], [-64, 64]]
    np.testing.assert_allclose(octets * scales, weights, rtol=0.01)


def test_ranges_cover_what_every_text_gives_and_no_padding() -> None:
    config = tiny_config()
    model = build_graph(config, random_weights(config))
    name = next(node.input[0] for node in model.graph.node if "layer.0.attention.query.kernel" in node.input)
    short, long = Encoding([2, 7, 3], 3), Encoding([2, *range(5, 30), 3], 27)
    apart = [find_ranges(model, [name], [e])[name] for e in (short, long)]
    together = find_ranges(model, [name], [short, long, short])[name]
    np.testing.assert_allclose(together.low, np.minimum(apart[0].low, apart[1].low), atol=1e-5)
    np.testing.assert_allclose(together.high, np.maximum(apart[0].high, apart[1].high), atol=1e-5)
