"""Schemathesis makes requests from the document, good and bad ones, and holds the answers against it."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from artifacts import tiny_artifact
from retort.app import create_app
from retort.config import ServeSettings

QUICK = settings(
    max_examples=6, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> list[APIOperation]:
    models_dir: Path = tmp_path_factory.mktemp("models")
    tiny_artifact(models_dir)
    app = create_app(ServeSettings(models_dir=models_dir, n_threads=1, predict_route="/vertex"))
    return [found.ok() for found in schemathesis.openapi.from_wsgi("/openapi.json", app).get_all_operations()]


@pytest.mark.parametrize("mode", GenerationMode, ids=str)
def test_nothing_is_answered_that_is_not_described(operations: list[APIOperation], mode: GenerationMode) -> None:
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # a name in a path cannot be of a wrong kind

        @QUICK
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            response = case.call()
            case.validate_response(response, excluded_checks=[not_a_server_error])
            assert response.status_code < 500 or response.status_code == 504  # a deadline of a millisecond may pass

        ask()
