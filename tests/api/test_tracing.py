"""Traces: whose a request belongs to, and what a collector is told of it."""

import gzip
import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from retort.api.tracing import TraceContext, is_tracing_wanted, parse_traceparent
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import BadUsage

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{SPAN}-01"


class Collector:
    """A collector of spans, by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            self.services.add(names["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server.server_port}")
    yield collector
    collector.close()


@pytest.fixture
def traced(collector: Collector, loaded: Registry) -> Iterator[FlaskClient]:
    client = create_app(ServeSettings(), loaded).test_client()
    yield client
    flush(client)


def flush(client: FlaskClient) -> None:
    client.application.extensions["spans"].close()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def test_a_request_is_a_span_with_its_stages(traced: FlaskClient, collector: Collector) -> None:
    response = traced.post("/predict", json={"x": ["java", "how to"]}, headers={"traceparent": GIVEN})
    flush(traced)
    by_name = {span.name: span for span in collector.spans}
    assert by_name.keys() == {"POST /predict", "tokenization", "queue", "inference"}
    request = by_name["POST /predict"]
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "retort.n_inputs": 2,
        "retort.n_tokens": 7,
        "retort.model": response.get_json()["model"],
    }
    assert (request.trace_id.hex(), request.parent_span_id.hex(), request.kind) == (TRACE, SPAN, 2)
    assert collector.services == {"retort"}
    assert response.headers["traceparent"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    end = request.start_time_unix_nano
    for stage in ("tokenization", "queue", "inference"):
        span = by_name[stage]
        assert (span.trace_id.hex(), span.parent_span_id) == (TRACE, request.span_id)
        assert end <= span.start_time_unix_nano <= span.end_time_unix_nano <= request.end_time_unix_nano
        billed_ms = float(response.headers[f"x-{stage}-time"])
        assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 == pytest.approx(billed_ms, abs=0.01)
        end = span.end_time_unix_nano


def test_a_request_of_no_trace_begins_one_and_the_log_names_it(
    traced: FlaskClient, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    response = traced.get("/health_check")
    flush(traced)
    (span,) = collector.spans
    assert response.headers["traceparent"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert span.parent_span_id == b""
    assert json.loads(capsys.readouterr().out)["trace_id"] == span.trace_id.hex()


def test_nothing_of_a_client_names_a_span(traced: FlaskClient, collector: Collector) -> None:
    headers = {"traceparent": "secret", "tracestate": "secret", "User-Agent": "secret"}
    for n in range(5):
        traced.open(f"/secret{n}?secret", method=f"SECRET{n}", headers=headers)
    flush(traced)
    assert {span.name for span in collector.spans} == {"_OTHER"}
    assert "secret" not in str(collector.spans).lower()


def test_only_our_own_faults_are_errors(traced: FlaskClient, collector: Collector) -> None:
    traced.post("/predict", json={"x": 1})
    traced.application.view_functions["predict.predict"] = lambda: 1 / 0
    traced.post("/predict", json={"x": 1})
    flush(traced)
    assert [(attributes(span)["http.response.status_code"], span.status.code) for span in collector.spans] == [
        (422, 0), (500, 2)
    ]  # fmt: skip


def test_a_trace_that_its_beginner_does_not_record_is_not_recorded(traced: FlaskClient, collector: Collector) -> None:
    response = traced.post("/predict", json={"x": "a"}, headers={"traceparent": GIVEN[:-2] + "00"})
    flush(traced)
    assert collector.spans == []
    assert response.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert response.headers["traceparent"].endswith("-00")


def test_a_service_may_have_another_name(
    collector: Collector, loaded: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tickets")
    client = create_app(ServeSettings(), loaded).test_client()
    client.get("/health_check")
    flush(client)
    assert collector.services == {"tickets"}


def test_a_collector_that_is_gone_costs_no_answer_and_one_line(
    loaded: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{port}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    client = create_app(ServeSettings(), loaded).test_client()
    codes = {client.post("/predict", json={"x": "a"}).status_code for _ in range(600)}  # more than the queue holds
    flush(client)
    assert codes == {200}
    assert [(record.name, record.levelno) for record in caplog.records] == [("retort.api.spans", logging.WARNING)]


def test_a_collector_that_never_answers_costs_no_answer(loaded: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
        client = create_app(ServeSettings(), loaded).test_client()
        assert {client.get("/health_check").status_code for _ in range(600)} == {200}
        flush(client)


def test_a_variable_that_cannot_be_is_said(loaded: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "-1")
    with pytest.raises(BadUsage, match="OTEL_"):
        create_app(ServeSettings(), loaded)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_SDK_DISABLED": "0"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_spans_are_recorded_where_the_standard_variables_say_so(environ: dict[str, str], wanted: bool) -> None:
    assert is_tracing_wanted(environ) == wanted


def test_without_a_collector_the_trace_goes_on_and_the_log_names_it(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for path in ("/health_check", "/nope"):
        answered = client.get(path, headers={"traceparent": GIVEN}).headers["traceparent"]
        found = parse_traceparent(answered)
        assert found is not None
        assert (found.trace_id, found.is_sampled) == (TRACE, False)
        assert found.span_id != SPAN
        assert json.loads(capsys.readouterr().out)["trace_id"] == TRACE


def test_without_a_trace_none_is_answered(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for headers in ({}, {"traceparent": "nonsense"}, {"traceparent": GIVEN.upper()}):
        assert "traceparent" not in client.get("/health_check", headers=headers).headers
        assert json.loads(capsys.readouterr().out)["trace_id"] is None


@pytest.mark.parametrize("given", [GIVEN, GIVEN[:-2] + "03", "01" + GIVEN[2:] + "-what-comes-later", "cc" + GIVEN[2:]])
def test_a_valid_traceparent_is_read(given: str) -> None:
    assert parse_traceparent(given) == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "given",
    [
        "",
        GIVEN[:-1],
        GIVEN + "-",
        GIVEN + "-more",  # version 00 has four fields
        "cc" + GIVEN[2:] + "more",
        "ff" + GIVEN[2:],
        "0" + GIVEN,
        GIVEN.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}-1",
        f"00_{TRACE}_{SPAN}_01",
        f"{GIVEN},{GIVEN}",
        GIVEN + "\n",
        "01" + GIVEN[2:] + "-" + "a" * 5000,
        "٠٠" + GIVEN[2:],
    ],
)
def test_an_invalid_traceparent_counts_as_none(given: str) -> None:
    assert parse_traceparent(given) is None
