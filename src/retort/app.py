"""The Flask application: the engine behind HTTP."""

from flask import Flask

from retort.api.access_log import AccessLog
from retort.api.answering import add_bill
from retort.api.errors import register_errors
from retort.api.health import build_health
from retort.api.models import build_models
from retort.api.predict import build_predict
from retort.api.proxies import trust_proxies
from retort.config import ServeSettings, parse_networks
from retort.engine.registry import Registry, open_registry


def create_app(settings: ServeSettings | None = None, registry: Registry | None = None) -> Flask:
    """Serve what `registry` holds, now or later; without one, the pointed model, loaded here.

    Raises BadArtifact: that model is damaged or missing.
    """
    settings = settings or ServeSettings()
    if registry is None:
        registry = open_registry(settings)
        registry.load()
    app = Flask("retort", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = True
    AccessLog(registry.metrics).register(app)
    app.after_request(add_bill)
    register_errors(app)
    app.register_blueprint(build_health(registry, settings.stall_timeout_s))
    app.register_blueprint(build_predict(registry, settings))
    app.register_blueprint(build_models(registry))
    if trusted := parse_networks(settings.trusted_proxies or ""):
        app.wsgi_app = trust_proxies(app.wsgi_app, trusted)  # type: ignore[assignment]
    return app
