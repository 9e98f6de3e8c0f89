"""The Flask application: the engine behind HTTP."""

from flask import Flask

from retort.api.access_log import register_access_log
from retort.api.errors import register_errors
from retort.api.health import build_health
from retort.api.predict import build_predict
from retort.api.proxies import trust_proxies
from retort.config import ServeSettings, parse_networks
from retort.engine.registry import Registry


def create_app(settings: ServeSettings | None = None, registry: Registry | None = None) -> Flask:
    """Serve what `registry` holds, now or later; without one, the pointed model, loaded here.

    Raises BadArtifact: that model is damaged or missing.
    """
    settings = settings or ServeSettings()
    if registry is None:
        registry = Registry(settings.models_dir, settings.n_threads, settings.max_batch_tokens)
        registry.load()
    app = Flask("retort", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = True
    register_access_log(app)
    register_errors(app)
    app.register_blueprint(build_health(registry))
    app.register_blueprint(build_predict(registry, settings))
    if trusted := parse_networks(settings.trusted_proxies or ""):
        app.wsgi_app = trust_proxies(app.wsgi_app, trusted)  # type: ignore[assignment]
    return app
