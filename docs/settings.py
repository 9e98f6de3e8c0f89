"""The settings in README.md and .env.example, made from `src/retort/config.py`; `python docs/settings.py` writes them.

A table stands between `<!-- settings: NAME -->` and `<!-- end -->`, variables between `# settings: NAME` and `# end`.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from retort.config import EvaluateSettings, PredictSettings, ServeSettings, TrainSettings

README = Path(__file__).parents[1] / "README.md"
VARIABLES = Path(__file__).parents[1] / ".env.example"
OLDER = ("batch_size", "max_seq_len", "n_epochs", "max_learn_rate", "min_learn_rate", "warmup_proportion")
TABLES = {
    "older": {name: TrainSettings.model_fields[name] for name in OLDER},
    "train": {name: field for name, field in TrainSettings.model_fields.items() if name not in OLDER},
    "serve": ServeSettings.model_fields,
    "predict": PredictSettings.model_fields,
}


def fill_tables(text: str) -> str:
    """`text` with every marked table as `config.py` has it now.  Raises KeyError: a marker names no table."""
    return re.sub(
        r"(<!-- settings: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{_table(TABLES[found[2]])}{found[3]}",
        text,
        flags=re.DOTALL,
    )


def fill_variables(text: str) -> str:
    """`text` with each setting's variable, commented out, once.  Raises KeyError: a marker names no group."""
    groups = {
        "serve": ServeSettings.model_fields,
        "train": TrainSettings.model_fields,
        "others": PredictSettings.model_fields | EvaluateSettings.model_fields,
    }
    listed: set[str] = set()

    def fill(found: re.Match[str]) -> str:
        fields = {name: field for name, field in groups[found[2]].items() if name not in listed}
        listed.update(fields)
        return f"{found[1]}{''.join(_variable(name, field) for name, field in fields.items())}{found[3]}"

    return re.sub(r"(# settings: (\w+)\n).*?(# end\n)", fill, text, flags=re.DOTALL)


def _variable(name: str, field: FieldInfo) -> str:
    return f"# {_sentence(field)}\n#RETORT_{name.upper()}={_default(field).strip('`')}\n"


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = (f"| `{name}` | {_default(field)} | {_sentence(field)} |" for name, field in fields.items())
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _sentence(field: FieldInfo) -> str:
    choices = [repr(value).strip("'") for value in _choices(field.annotation)]
    return (field.description or "").replace("|", "\\|") + (f" One of `{'`, `'.join(choices)}`." if choices else "")


def _choices(annotation: Any) -> Iterable[str]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return [choice for part in get_args(annotation) for choice in _choices(part)]


if __name__ == "__main__":
    README.write_text(fill_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    VARIABLES.write_text(fill_variables(VARIABLES.read_text(encoding="utf-8")), encoding="utf-8")
