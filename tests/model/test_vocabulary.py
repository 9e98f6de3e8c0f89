"""Vocabularies against Google's own tokenizers."""

import json
import string
import sys
from pathlib import Path

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))

from google_tokenization import google_sentence_piece, google_word_piece
from hard_texts import HARD_TEXTS

from retort.errors import BadCheckpoint
from retort.model.vocabulary import is_cased, load_sentence_piece, load_word_piece
from retort.tokenization.tokenizer import Tokenizer

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHARACTERS = string.ascii_lowercase + string.digits + "éßıſσςδοα你好世界和カタナガ한🙂👍½²°£€’‘“”…—–·"


def write_vocabulary(file: Path, *more: str) -> Path:
    pieces = [*SPECIAL, *CHARACTERS, *(f"##{c}" for c in CHARACTERS), *string.punctuation]
    file.write_text("\n".join([*pieces, "the", "run", "##ning", "words", *more]) + "\n", encoding="utf-8")
    return file


def train_sentence_piece(folder: Path, **options: object) -> Path:
    """A small SentencePiece model with ALBERT's special pieces, and its pieces of numbers before commas."""
    settings = {
        "model_type": "unigram",
        "vocab_size": 120,
        "pad_id": 0,
        "unk_id": 1,
        "bos_id": -1,
        "eos_id": -1,
        "pad_piece": "<pad>",
        "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        "user_defined_symbols": ["(", ")", '"', "-", ".", "£"],
        "hard_vocab_limit": False,
        "minloglevel": 2,
    }
    texts = [
        *(f"the plain words ({year}) run, and run on and on" for year in range(2000, 2020)),
        string.ascii_lowercase,
    ]
    file = folder / "spiece.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(file.with_suffix("")), **{**settings, **options}
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(file.read_bytes())
    known = {piece.piece for piece in model.pieces}
    for piece in ("▁2010", "▁2010,", "▁2011", "▁2011,", "▁1", "▁1,", "1,0", ",000", "▁3", "▁3,", ","):
        if piece not in known:
            model.pieces.add(piece=piece, score=-4.0)
    file.write_bytes(model.SerializeToString())
    return file


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [list(tokens.ids) for tokens in tokenizer.tokenize(texts)]


def test_word_pieces_of_hard_texts_are_google_s(tmp_path: Path) -> None:
    file = write_vocabulary(tmp_path / "vocab.txt")
    google = google_word_piece(file, lowercase=True)
    for text, ids in zip(HARD_TEXTS, ids_of(load_word_piece(file), HARD_TEXTS), strict=True):
        assert ids == google(text), ascii(text)


def test_cased_word_pieces_of_hard_texts_are_google_s(tmp_path: Path) -> None:
    file = write_vocabulary(tmp_path / "vocab.txt", *"ÉÅΣΟΔΑ", *string.ascii_uppercase, "##É", "##Σ")
    google = google_word_piece(file, lowercase=False)
    for text, ids in zip(HARD_TEXTS, ids_of(load_word_piece(file), HARD_TEXTS), strict=True):
        assert ids == google(text), ascii(text)


@pytest.mark.parametrize("name", ["bert-base-uncased", "bert-base-multilingual-cased"])
def test_word_pieces_by_published_vocabularies_are_google_s(name: str) -> None:
    file = SHARED / "vocab" / name / "vocab.txt"
    if not file.exists():
        pytest.skip("the published vocabularies are not on this machine")
    google = google_word_piece(file, lowercase="uncased" in name)
    for text, ids in zip(HARD_TEXTS, ids_of(load_word_piece(file), HARD_TEXTS), strict=True):
        assert ids == google(text), ascii(text)


def test_ids_of_ten_thousand_questions_are_google_s() -> None:
    folder, file = SHARED / "squad_tokenizer_reference", SHARED / "vocab" / "bert-base-uncased" / "vocab.txt"
    if not folder.exists() or not file.exists():
        pytest.skip("the reference questions are not on this machine")
    questions = [each["original"] for each in json.loads((folder / "question_tokens.json").read_text("utf-8"))]
    expected = json.loads((folder / "tokenized_questions.json").read_text("utf-8"))
    assert len(questions) == 10_570
    assert ids_of(load_word_piece(file), questions) == expected


def test_sentence_pieces_of_hard_texts_are_google_s(tmp_path: Path) -> None:
    file = train_sentence_piece(tmp_path)
    google = google_sentence_piece(file)
    for text, ids in zip(HARD_TEXTS, ids_of(load_sentence_piece(file), HARD_TEXTS), strict=True):
        assert ids == google(text), ascii(text)


def test_numbers_before_commas_have_pieces_that_are_never_chosen(tmp_path: Path) -> None:
    file = train_sentence_piece(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    joined = {i for i in range(processor.piece_size()) if processor.id_to_piece(i).endswith(("0,", "1,"))}
    text = "it was 2010, not 2011, ok"
    assert joined & set(processor.encode(text)), "the model must have such pieces for this test to say anything"
    (ids,) = ids_of(load_sentence_piece(file), [text])
    assert not joined & set(ids)


def test_sentence_pieces_by_the_published_model_are_google_s() -> None:
    file = SHARED / "vocab" / "albert-sentencepiece" / "spiece.model"
    if not file.exists():
        pytest.skip("the published model is not on this machine")
    google, tokenizer = google_sentence_piece(file), load_sentence_piece(file)
    articles = json.loads((SHARED / "squad_v11_train_prefix" / "train-v1.1.prefix.json").read_text("utf-8"))["data"]
    paragraphs = [p["context"] for article in articles for p in article["paragraphs"]]
    for text, ids in zip([*HARD_TEXTS, *paragraphs], ids_of(tokenizer, [*HARD_TEXTS, *paragraphs]), strict=True):
        assert ids == google(text), ascii(text)
    assert ids_of(tokenizer, ["this is a test"]) == [[48, 25, 21, 1289]]


def test_typed_special_tokens_stay_text(tmp_path: Path) -> None:
    word_piece = load_word_piece(write_vocabulary(tmp_path / "vocab.txt"))
    sentence_piece = load_sentence_piece(train_sentence_piece(tmp_path))
    for tokenizer in (word_piece, sentence_piece):
        special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id}
        for text in ("[CLS] [SEP] [PAD] <pad> [MASK]", "x[SEP]y", "<pad>"):
            assert not special & set(tokenizer.tokenize([text])[0].ids), text


def test_a_tokenizer_s_json_gives_the_same_tokenizer(tmp_path: Path) -> None:
    for tokenizer in (
        load_word_piece(write_vocabulary(tmp_path / "vocab.txt")),
        load_sentence_piece(train_sentence_piece(tmp_path)),
    ):
        again = Tokenizer.from_json(tokenizer.to_json())
        assert again.tokenize(HARD_TEXTS) == tokenizer.tokenize(HARD_TEXTS)
        assert (again.cls_id, again.sep_id, again.pad_id) == (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)


def test_offsets_point_into_the_original_text(tmp_path: Path) -> None:
    text = "the\x00 Café 你好"
    (tokens,) = load_word_piece(write_vocabulary(tmp_path / "vocab.txt")).tokenize([text])
    assert [text[start:end] for start, end in tokens.offsets] == ["the", "C", "a", "f", "é", "你", "好"]


def test_the_vocabulary_tells_its_casing() -> None:
    assert not is_cased(["the", "##ning", *("x" * 300), "ℝ", "7"])
    assert not is_cased([*("x" * 300), "Ⅷ"]), "one piece in hundreds is a slip"
    assert is_cased(["the", "The"])
    assert not is_cased([])


def test_settings_overrule_what_the_vocabulary_tells(tmp_path: Path) -> None:
    file = write_vocabulary(tmp_path / "vocab.txt", "The")
    told, guessed = load_word_piece(file, lowercase=False), load_word_piece(file)
    assert ids_of(told, ["The"]) != ids_of(guessed, ["The"]) == ids_of(told, ["the"])


def test_lines_of_a_vocabulary_end_at_newlines_only(tmp_path: Path) -> None:
    file = tmp_path / "vocab.txt"
    file.write_bytes("\r\n".join([*SPECIAL, "a", "\u2028", "\u0085", "b"]).encode())
    assert ids_of(load_word_piece(file), ["a b"]) == [[5, 8]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[PAD]\n[CLS]\n[SEP]\nword\n", r"no \[UNK\]"),
        (b"[UNK]\n[CLS]\n[PAD]\nword\n", r"no \[SEP\]"),
        (b"", r"no \[UNK\]"),
        (b"\xff\xfe\x00", "Cannot read"),
    ],
)
def test_a_bad_vocabulary_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(BadCheckpoint, match=said):
        load_word_piece(tmp_path / "vocab.txt")


def test_a_bad_sentence_piece_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.model").write_bytes(b"\xff\xff\xff nothing of the kind")
    (tmp_path / "b.model").write_bytes(b"")
    for file in ("a.model", "b.model", "missing.model"):
        with pytest.raises(BadCheckpoint, match=file):
            load_sentence_piece(tmp_path / file)
    bpe = train_sentence_piece(tmp_path, model_type="bpe")
    with pytest.raises(BadCheckpoint, match="no SentencePiece unigram model"):
        load_sentence_piece(bpe)
