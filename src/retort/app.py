"""The Flask application: the engine behind HTTP."""

from flask import Flask

from retort.api.access_log import AccessLog
from retort.api.answering import add_bill
from retort.api.cors import Cors
from retort.api.direct import Direct
from retort.api.docs import build_docs
from retort.api.errors import register_errors
from retort.api.gate import Gate
from retort.api.health import build_health
from retort.api.hugging_face import build_hugging_face
from retort.api.input_log import build_input_log
from retort.api.metrics import build_metrics
from retort.api.models import build_models
from retort.api.open_inference import build_open_inference
from retort.api.predict import build_predict
from retort.api.proxies import trust_proxies
from retort.api.rate import RateLimit
from retort.api.sagemaker import build_sagemaker
from retort.api.tensorflow_serving import build_tensorflow_serving
from retort.api.tracing import is_tracing_wanted, register_tracing
from retort.api.vertex import build_vertex
from retort.config import ServeSettings, parse_networks, split_list
from retort.engine.registry import Registry, open_registry
from retort.web.documents import build_documents
from retort.web.form import build_form
from retort.web.page import Page
from retort.web.playground import build_playground


def create_app(settings: ServeSettings | None = None, registry: Registry | None = None) -> Flask:
    """Serve what `registry` holds, now or later; without one, the pointed model, loaded here.

    Raises BadArtifact: that model is damaged or missing; BadUsage: a file of keys cannot be read.
    """
    settings = settings or ServeSettings()
    if registry is None:
        registry = open_registry(settings)
        registry.load()
    app = Flask("retort", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = True
    gate = Gate(settings)
    access_log = AccessLog(registry.metrics, build_input_log(settings), has_keys=bool(gate))
    access_log.register(app)
    app.after_request(add_bill)
    register_errors(app)
    register_tracing(app)
    origins = split_list(settings.cors_origins or "")
    if origins:
        Cors(origins).register(app)  # a preflight brings no key
    gate.register(app)
    if settings.rate_limit_per_minute:
        RateLimit(settings.rate_limit_per_minute, gate.is_open, registry.metrics).register(app)
    app.register_blueprint(build_vertex(registry, settings))
    app.register_blueprint(build_health(registry, settings.stall_timeout_s))
    app.register_blueprint(build_metrics(registry.metrics))
    for build in (build_predict, build_tensorflow_serving, build_open_inference, build_sagemaker):
        app.register_blueprint(build(registry, settings))
    page = Page(registry, settings, has_keys=bool(gate))
    app.register_blueprint(build_hugging_face(registry, settings, build_form(page)))
    app.register_blueprint(build_playground(page))
    app.register_blueprint(build_documents(registry))
    app.register_blueprint(build_models(registry))
    app.register_blueprint(build_docs(gate))
    trusted = parse_networks(settings.trusted_proxies or "")
    if not (gate or origins or settings.rate_limit_per_minute or trusted or is_tracing_wanted()):
        app.extensions["direct"] = Direct(registry, settings, access_log)
    if trusted:
        app.wsgi_app = trust_proxies(app.wsgi_app, trusted)  # type: ignore[assignment]
    return app
