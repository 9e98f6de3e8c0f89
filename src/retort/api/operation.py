"""What an address takes, gives and refuses, written beside its function; `openapi.py` reads it there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from retort.errors import (
    BodyTooLong,
    DeadlinePassed,
    InferenceFailed,
    InvalidInput,
    ModelNotReady,
    NotJson,
    Overloaded,
    RetortError,
    TooManyTexts,
    TooManyTokens,
)

READS = (NotJson, BodyTooLong, InvalidInput)  # a body
PREDICTS = (*READS, TooManyTexts, TooManyTokens, Overloaded, InferenceFailed, ModelNotReady, DeadlinePassed)

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """`takes` and `gives` (with status 200) map media types to the Python types that describe them; nothing is taken
    where `takes` is empty.  `errors` are those beyond what every address may answer."""

    summary: str
    gives: Mapping[str, Any]
    takes: Mapping[str, Any]
    errors: tuple[type[RetortError], ...]
    is_body_needed: bool
    is_cached: bool  # there is a 304 for who has it already
    note: str  # what `takes` and `gives` cannot say

    @property
    def predicts(self) -> bool:
        """Whether the model runs, so that deadline and bill have a meaning."""
        return DeadlinePassed in self.errors


def describe(
    summary: str,
    gives: Any,
    takes: Any = None,
    errors: tuple[type[RetortError], ...] = (),
    is_body_needed: bool = True,
    is_cached: bool = False,
    note: str = "",
) -> Callable[[View], View]:
    """Keep with a view what it does.  `gives` and `takes` are a type of JSON, or types by media type."""

    def keep(view: View) -> View:
        operation = Operation(
            summary, _by_media_type(gives), _by_media_type(takes), errors, is_body_needed, is_cached, note
        )
        view.operation = operation  # type: ignore[attr-defined]
        return view

    return keep


def _by_media_type(kind: Any) -> Mapping[str, Any]:
    if isinstance(kind, Mapping):
        return kind
    return {} if kind is None else {"application/json": kind}
