"""Google's own tokenizers, as bert-for-tf2 carries them: plain Python, loaded without the package around it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def google_word_piece(vocabulary: Path, lowercase: bool) -> Callable[[str], list[int]]:
    """Text to ids by Google's BERT tokenizer."""
    full = _load("bert_tokenization").FullTokenizer(str(vocabulary), do_lower_case=lowercase)
    return lambda text: full.convert_tokens_to_ids(full.tokenize(text))


def google_sentence_piece(model: Path) -> Callable[[str], list[int]]:
    """Text to ids by Google's ALBERT tokenizer: its cleaning, `sentencepiece`, its rule for numbers before a comma."""
    module = _load("albert_tokenization")
    full = module.FullTokenizer(None, spm_model_file=str(model))

    def encode(text: str) -> list[int]:
        quoted = text.replace("``", '"').replace("''", '"')  # what Google's code does, and this copy of it leaves out
        return list(full.convert_tokens_to_ids(full.tokenize(module.preprocess_text(quoted, lower=True))))

    return encode


def _load(name: str) -> ModuleType:
    package = importlib.util.find_spec("bert")
    assert package is not None
    assert package.origin is not None
    spec = importlib.util.spec_from_file_location(name, Path(package.origin).parent / "tokenization" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
