"""`GET /ping` and `POST /invocations`, which SageMaker asks of a container: JSON, lines of JSON, or CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, jsonify, request

from retort.api.answering import answer_all
from retort.api.body import JSON, read_typed_body
from retort.api.fields import parse_items
from retort.api.health import Readiness
from retort.api.instances import GIVEN, TAKEN, answer_instances, label_rows
from retort.api.operation import PREDICTS, describe
from retort.api.strict_json import parse_json
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import InvalidInput, ModelNotReady, NotJson

LINES, CSV = "application/jsonlines", "text/csv"


def build_sagemaker(registry: Registry, settings: ServeSettings) -> Blueprint:
    """Both addresses; the default model answers."""
    blueprint = Blueprint("sagemaker", __name__)

    @blueprint.get("/ping")
    @describe("May it be sent requests? (SageMaker)", gives=Readiness, errors=(ModelNotReady,))
    def ping() -> Response:
        """Raises ModelNotReady."""
        return jsonify(status="ready", model=registry.current.artifact.version)

    @blueprint.post("/invocations")
    @describe(
        "Label texts (SageMaker)",
        takes=TAKEN, gives={JSON: GIVEN, LINES: str, CSV: str}, errors=PREDICTS,
        note="Also takes `application/jsonlines` (a text, a pair or an object a line) and `text/csv` (a text a row, or "
        "a pair in two columns; no header). Lines and CSV come back where `Accept` asks for them.",
    )  # fmt: skip
    def predict() -> Response:
        body = read_typed_body(settings.max_body_bytes, JSON, LINES, CSV)
        with registry.lease() as predictor:
            if request.mimetype == JSON:
                answered = answer_instances(parse_json(body), predictor, settings)
            else:
                items = _read_lines(body) if request.mimetype == LINES else _read_csv(body)
                max_texts = settings.max_texts_per_request
                inputs = parse_items(predictor.artifact.task, "line", items, max_texts, named=True)
                answered = {"predictions": label_rows(answer_all(predictor, inputs, settings))}
        wanted = request.accept_mimetypes.best_match([JSON, LINES, CSV], default=JSON)
        rows = answered["predictions"]
        if wanted == JSON or "model" in answered:  # what `x` is answered with has no rows
            return jsonify(answered)
        return Response(_write_lines(rows) if wanted == LINES else _write_csv(rows), mimetype=wanted)

    return blueprint


def _read_lines(body: bytes) -> list[Any]:
    """One text, pair or object a line; empty lines are none.  Raises NotJson."""
    return [parse_json(line) for line in body.split(b"\n") if line.strip()]


def _read_csv(body: bytes) -> list[Any]:
    """One text a row, or a pair in two columns; no header.  Raises NotJson; InvalidInput."""
    try:
        rows = [row for row in csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")) if row]
    except UnicodeDecodeError as e:
        raise NotJson(f"Expected CSV in UTF-8; byte {e.start} is not.") from e
    except csv.Error as e:
        raise InvalidInput(f"Expected CSV of one text, or a pair of texts, a row; {e}.") from e
    return [row[0] if len(row) == 1 else row for row in rows]


def _write_lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _write_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Label and probability; several labels of a text are separated by `|`."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    for row in rows:
        values = (row["label"], row["probability"])
        writer.writerow("|".join(map(str, value)) if isinstance(value, list) else value for value in values)
    return written.getvalue()
