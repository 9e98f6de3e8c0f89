"""`GET /`: the page on which people try models, and the files it is made of."""

from pathlib import Path

from flask import Blueprint, Response
from werkzeug.exceptions import NotFound

from retort.api.operation import describe
from retort.api.pages import answer_file, read_file
from retort.web.page import POLICY, Page

STATIC = Path(__file__).with_name("static")
FILES = frozenset(file.name for file in STATIC.iterdir())


def build_playground(page: Page) -> Blueprint:
    """The page and its files."""
    blueprint = Blueprint("playground", __name__)

    @blueprint.get("/")
    @describe("The playground, a page to try models on", gives={"text/html": str}, is_cached=True)
    def show() -> Response:
        return answer_file(page.render(), POLICY)

    @blueprint.get("/playground/<file>")
    def asset(file: str) -> Response:
        if file not in FILES:
            raise NotFound
        return answer_file(read_file(STATIC / file), POLICY)

    return blueprint
