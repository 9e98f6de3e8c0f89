"""`POST /` with a form's fields: the playground's answer to who has no JavaScript."""

from collections.abc import Callable
from urllib.parse import parse_qs

from flask import Response, g

from retort.api.access_log import note_answer
from retort.api.answering import answer
from retort.api.body import FORM, read_typed_body
from retort.api.errors import describe_error
from retort.api.pages import answer_file
from retort.api.schema import build_response, check_request
from retort.engine.registry import DEFAULT
from retort.errors import NotJson, RetortError
from retort.web.page import POLICY, Asked, Page
from retort.web.shown import Shown, show_answer

N_BARS = 10
MAX_FIELDS = 16


def build_form(page: Page) -> Callable[[], Response]:
    """The view that answers a form with the page it came from."""

    def answer_form() -> Response:
        """Whatever is refused is a sentence on the page, with the status that the API would give it."""
        asked = Asked()
        try:
            asked = parse_form(read_typed_body(page.settings.max_body_bytes, FORM))
            shown = _predict(page, asked)
        except RetortError as e:
            if (found := describe_error(e)) is None:
                raise
            response = answer_file(
                page.render(asked, fault=found.message.removeprefix("x[0]: ")), POLICY, status=found.status
            )
            response.headers.extend(found.headers)
            return response
        return answer_file(page.render(asked, shown), POLICY)

    return answer_form


def parse_form(body: bytes) -> Asked:
    """What was asked; line ends, which forms send as CR LF, are what was typed.

    Raises NotJson: it is no form, or not in UTF-8.
    """
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as e:
        raise NotJson("Expected the fields of a form, in UTF-8; send JSON to /predict.") from e
    first = {name: values[0].replace("\r\n", "\n") for name, values in fields.items()}
    pair = first.get("text_pair", "") if "is_pair" in first else None
    return Asked(first.get("model") or DEFAULT, first.get("text", ""), pair)


def _predict(page: Page, asked: Asked) -> Shown | None:
    """As `POST /predict` does."""
    if not asked.text.strip():
        return None
    item = asked.text if asked.text_pair is None else [asked.text, asked.text_pair]
    g.name_asked = asked.model
    with page.registry.lease(asked.model) as predictor:
        artifact = predictor.artifact
        request = check_request({"x": [item], "top_k": N_BARS}, artifact.task, 1)
        answered = answer(predictor, request.inputs, page.settings)
        response = build_response(artifact.version, answered.answers, request.top_k)
    note_answer(artifact.version, answered.answers)
    return show_answer(response, asked.text, artifact.task.answers, artifact.served.labels)
