"""What serves, and perhaps a form's answer, become the playground's page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import jinja2

from retort.api.models import describe
from retort.api.pages import File, encode_file
from retort.config import ServeSettings
from retort.engine.registry import DEFAULT, Registry
from retort.tasks.base import Kind
from retort.web.shown import Shown

# Nothing is loaded from, or sent to, another host, and nothing that a text or a label holds can run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
ANSWERS: Mapping[Kind, str] = {
    "label": "one of {n} labels",
    "labels": "any of {n} labels",
    "entities": "named entities",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asked: the model by name, and a text or a pair."""

    model: str = DEFAULT
    text: str = ""
    text_pair: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The page of one server.  Where it asks for keys, the page names no model before it has one."""

    registry: Registry
    settings: ServeSettings
    has_keys: bool

    def render(self, asked: Asked | None = None, shown: Shown | None = None, fault: str = "") -> File:
        """Empty, or with what was `asked` and the answer or `fault` that came of it."""
        held = {} if self.has_keys else self.registry.held
        page = load_templates().get_template("playground.html")
        text = page.render(
            models=[describe(name, each) for name, each in held.items()],
            asked=asked or Asked(),
            shown=shown,
            fault=fault,
            has_keys=self.has_keys,
            settings=self.settings,
        )
        return encode_file(text, "text/html")


@cache
def load_templates() -> jinja2.Environment:
    """Everything that a template writes is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("retort.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["describe_answers"] = describe_answers
    return environment


def describe_answers(answers: Kind, n_labels: int) -> str:
    """A few words for people."""
    return ANSWERS[answers].format(n=n_labels)
