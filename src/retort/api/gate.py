"""The door of the API: which requests need a key, and which an admin's."""

from collections.abc import Iterator

from flask import Flask, g, request
from werkzeug.exceptions import NotFound

from retort.api.keys import load_keys
from retort.config import ServeSettings
from retort.errors import Forbidden, Unauthorized

ADMIN = "/admin/"
PROBES = {"/livez", "/readyz", "/health_check", "/ping"}
PAGES = {"/", "/docs", "/openapi.json"}  # the same for everybody
OPEN_BELOW = ("/v2/health/", "/docs/", "/playground/")

_UNAUTHORIZED = "Expected an API key, `Authorization: Bearer <key>` or `X-API-Key: <key>`; "


class Gate:
    """Lets those in who have a key.  Probes, the playground's page and the API's description need none."""

    def __init__(self, settings: ServeSettings) -> None:
        """Raises BadUsage: a file of keys cannot be read."""
        self._api, self._admin = load_keys(settings)
        self._open = PROBES | PAGES | {settings.health_route or ""}
        if settings.public_metrics:
            self._open |= {"/metrics"}

    def __bool__(self) -> bool:
        """Whether anybody needs a key."""
        return bool(self._api or self._admin)

    def register(self, app: Flask) -> None:
        """Check every request of `app`; without keys only that nobody comes below `/admin/`."""
        app.before_request(self._check if self else self._hide_admin)

    def is_open(self) -> bool:
        """Whether this request needs no key."""
        return request.url_rule is not None and self.opens(request.url_rule.rule, request.method)

    def opens(self, rule: str, method: str) -> bool:
        """Whether requests of this rule and method need no key."""
        return method in ("GET", "HEAD") and (rule in self._open or rule.startswith(OPEN_BELOW))

    def hides(self, rule: str) -> bool:
        """Whether there is no such address, because nobody may ask there."""
        return rule.startswith(ADMIN) and not self._admin

    def _check(self) -> None:
        """Raises Unauthorized; Forbidden: an address for admins; NotFound: such an address, and there are none."""
        if self.is_open():
            return
        admin_id = key_id = None
        given = list(_given_keys())
        for key in given:
            admin_id = admin_id or self._admin.find(key)
            key_id = key_id or self._api.find(key)
        g.key_id = admin_id or key_id
        if g.key_id is None:
            raise Unauthorized(_UNAUTHORIZED + ("this one is not known here." if given else "there is none."))
        self._hide_admin()
        if admin_id is None and _is_admin_address():
            raise Forbidden("Expected an admin's key here; this one may only predict.")

    def _hide_admin(self) -> None:
        if not self._admin and _is_admin_address():
            raise NotFound


def _given_keys() -> Iterator[str]:
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        yield key.strip()
    if key := request.headers.get("X-API-Key", "").strip():
        yield key


def _is_admin_address() -> bool:
    """However many slashes it begins with: werkzeug would send it on to where it meant."""
    return f"/{request.environ.get('PATH_INFO', '').lstrip('/')}/".startswith(ADMIN)
