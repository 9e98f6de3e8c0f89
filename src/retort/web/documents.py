"""`GET /models/<name>/card` and `/report`: what a model's folder says of it, for people."""

from pathlib import Path

from flask import Blueprint, Response, request

from retort.api.operation import describe
from retort.api.pages import answer_file, encode_file
from retort.engine.registry import Registry
from retort.errors import ModelNotReady, NoSuchDocument
from retort.web.page import POLICY, load_templates

# A report is a file of its own, with styles and pictures in it.  Whatever else it held would not run, nor ask anybody.
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'; sandbox"
)


def build_documents(registry: Registry) -> Blueprint:
    """Both addresses."""
    blueprint = Blueprint("documents", __name__)

    @blueprint.get("/models/<name>/report")
    @describe(
        "A model's report", gives={"text/html": str}, errors=(ModelNotReady, NoSuchDocument), is_cached=True,
    )  # fmt: skip
    def report(name: str) -> Response:
        """Raises ModelNotReady, NoSuchModel, NoSuchDocument."""
        return answer_file(encode_file(_read(registry, name, "report.html"), "text/html"), REPORT_POLICY)

    @blueprint.get("/models/<name>/card")
    @describe(
        "A model's card", gives={"text/markdown": str, "text/html": str}, errors=(ModelNotReady, NoSuchDocument),
        is_cached=True, note="A page where `Accept` prefers `text/html`, else Markdown.",
    )  # fmt: skip
    def card(name: str) -> Response:
        """Raises ModelNotReady, NoSuchModel, NoSuchDocument."""
        text, kind = _read(registry, name, "README.md"), "text/markdown"
        if request.accept_mimetypes.best_match([kind, "text/html"]) == "text/html":
            text, kind = load_templates().get_template("card.html").render(name=name, card=text), "text/html"
        response = answer_file(encode_file(text, kind), POLICY)
        response.vary.add("Accept")
        return response

    return blueprint


def _read(registry: Registry, name: str, file: str) -> str:
    """Raises NoSuchDocument: imported models, and older ones, may have none."""
    with registry.lease(name) as predictor:
        path: Path = predictor.artifact.path / file
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as e:
        raise NoSuchDocument(f"The model {name!r} has no {file} in its folder; models trained by Retort do.") from e
