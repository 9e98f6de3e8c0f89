"""Bytes become JSON values, strictly."""

import json
import math
from typing import Any, NoReturn

from retort.errors import NotJson

MAX_DEPTH = 32


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8 (a byte order mark is skipped), no duplicate keys, no NaN or Infinity, no number that
    becomes one, nesting of at most `MAX_DEPTH`.

    Raises NotJson.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object_of,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as e:
        raise NotJson(f"Expected JSON in UTF-8; byte {e.start} is not.") from e
    except RecursionError as e:
        raise NotJson(f"Expected JSON nested at most {MAX_DEPTH} deep.") from e
    except json.JSONDecodeError as e:
        raise NotJson(f"Expected JSON: {e.msg} at line {e.lineno}, column {e.colno}.") from e
    except ValueError as e:  # an integer of more digits than Python converts
        raise NotJson("Expected JSON; it holds a number with too many digits.") from e
    if _is_deeper(value, MAX_DEPTH):
        raise NotJson(f"Expected JSON nested at most {MAX_DEPTH} deep.")
    return value


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def kind_of(value: Any) -> str:
    """What JSON calls a value, for messages."""
    return _KINDS.get(type(value), "a number")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJson("Expected each key of an object once; one comes twice.")
    return found


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise NotJson("Expected finite numbers; one is too large.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"Expected JSON; {name} is none of its numbers.")


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        if not level:
            return False
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
    return bool(level)
