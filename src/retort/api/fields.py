"""A body's fields become a checked request: the model says what is taken, `expected` says it to people.

The schemas that `openapi.py` shows come from the same models.  Lists of texts are checked here item by item, because
pydantic would take longer and could not name an item's index in a sentence; `Texts` is what they are for the schema.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from retort.api.strict_json import kind_of, parse_json
from retort.errors import InvalidInput, TooManyTexts
from retort.tasks.base import Input, Task

TEXT = {"type": "string"}
PAIR = {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}
NAMED = {
    "type": "object",
    "properties": {"text": TEXT, "text_pair": TEXT},
    "required": ["text"],
    "additionalProperties": False,
}

INSTANCES = {"type": "array", "items": {"anyOf": [TEXT, PAIR, NAMED]}}

Texts = Annotated[list[Any], WithJsonSchema({"type": "array", "items": {"anyOf": [TEXT, PAIR]}})]
Instances = Annotated[list[Any], WithJsonSchema(INSTANCES)]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Whole numbers: to JSON, and so to its schemas, 1.0 is one too.
Count = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
Size = Annotated[int, Field(ge=0), BeforeValidator(_whole)]


class RequestModel(BaseModel):
    """A body that is an object.  `example` is one, and `expected` has a few words for each field, nested ones too."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    example: ClassVar[str] = "{}"
    expected: ClassVar[dict[str, str]] = {}


Model = TypeVar("Model", bound=RequestModel)


def parse_fields(body: bytes, model: type[Model]) -> Model:
    """The checked request that a body of JSON is.

    Raises NotJson; InvalidInput, naming the field.
    """
    return check_fields(parse_json(body), model)


def check_fields(fields: Any, model: type[Model]) -> Model:
    """The checked request that a value of JSON is.  Raises InvalidInput, naming the field."""
    if not isinstance(fields, dict):
        raise InvalidInput(f"Expected an object such as {model.example}, got {kind_of(fields)}.")
    try:
        return model.model_validate(fields)
    except ValidationError as e:
        raise InvalidInput(_explain(e, model)) from e


def parse_items(task: Task, field: str, items: Sequence[Any], max_texts: int, named: bool = False) -> list[Input]:
    """The inputs of a list of texts and pairs; with `named`, also of objects `{"text", "text_pair"}`.

    Raises InvalidInput, naming the item's index; TooManyTexts.
    """
    if len(items) > max_texts:
        raise TooManyTexts(f"Expected at most {max_texts} texts in one request, got {len(items)}; send several.")
    return [_parse_item(task, field, index, item, named) for index, item in enumerate(items)]


def _parse_item(task: Task, field: str, index: int, item: Any, named: bool) -> Input:
    """A string is a text, a list of two strings a pair; the task's own `parse` checks the rest."""
    if isinstance(item, str):
        fields = {"text": item}
    elif isinstance(item, list) and len(item) == 2:
        fields = {"text": item[0], "text_pair": item[1]}
    elif named and isinstance(item, dict):
        fields = _named(field, index, item)
    else:
        got = f"a list of {len(item)}" if isinstance(item, list) else kind_of(item)
        raise InvalidInput(f"{field}[{index}]: expected a string or a pair of strings, got {got}.")
    if not all(isinstance(value, str) for value in fields.values()):
        kinds = " and ".join(kind_of(value) for value in fields.values())
        expected = "a string" if len(fields) == 1 else "a pair of strings"
        raise InvalidInput(f"{field}[{index}]: expected {expected}, got {kinds}.")
    try:
        return task.parse(fields)
    except InvalidInput as e:
        raise InvalidInput(f"{field}[{index}]: {e}") from e


def _named(field: str, index: int, item: dict[str, Any]) -> dict[str, Any]:
    if "text" in item and item.keys() <= {"text", "text_pair"}:
        return item
    raise InvalidInput(f"{field}[{index}]: expected the key `text`, perhaps `text_pair`, and no others.")


def _explain(error: ValidationError, model: type[RequestModel]) -> str:
    """The first fault of a request's fields, in our words; values of users are not repeated."""
    first = error.errors(include_url=False, include_context=False)[0]
    if not first["loc"]:
        return "The name of a field holds a lone surrogate, which is no character."
    name = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    if first["type"] == "extra_forbidden":
        name = ascii(name[:50])[1:-1]
        return f"Unknown field `{name}`; expected {', '.join(f'`{f}`' for f in model.expected)}."
    if first["type"] == "missing":
        return f"Expected a field `{name}`, such as {model.example}; it is missing."
    known = next(known for known in _enclosing(name) if known in model.expected)
    return f"`{known}`: expected {model.expected[known]}, got {kind_of(first['input'])}."


def _enclosing(name: str) -> list[str]:
    """`a.b.c`, `a.b`, `a`."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
