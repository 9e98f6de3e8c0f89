"""A model that finds entities, behind the same addresses as a classifier."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from huggingface_hub import InferenceClient
from werkzeug.serving import make_server

from artifacts import tiny_artifact, tiny_entities
from hostile import ODD
from retort.api.schema import PredictResponse
from retort.app import create_app
from retort.config import ServeSettings

TEXTS = ["Ada went to Oslo, to sort a list.", "", "你好 👍 java\u202e \U0001d538 e\u0301 .", "python " * 200]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """An entity model by default, and a classifier by name."""
    models_dir = tmp_path_factory.mktemp("both")
    classifier = tiny_artifact(models_dir)
    tiny_entities(models_dir)
    pointer = models_dir / "latest_model_config.json"
    named = {"topics": {"model_dir": f"trained/{classifier.path.name}"}}
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"models": named}))
    return create_app(ServeSettings(models_dir=models_dir, n_threads=1)).test_client()


def ask(client: FlaskClient, path: str = "/predict", **body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


def test_each_entity_is_a_part_of_the_text_as_sent(both: FlaskClient) -> None:
    answer = ask(both, x=TEXTS)
    PredictResponse.model_validate(answer, strict=True)
    assert sum(map(len, answer["predictions"])) > 5, "the tiny model finds something"
    for text, entities, usage in zip(TEXTS, answer["predictions"], answer["usage"], strict=True):
        assert not usage["truncated"]
        for entity in entities:
            assert list(entity) == ["label", "text", "start", "end", "probability"]
            assert entity["text"] == text[entity["start"] : entity["end"]]
            assert entity["label"] in ("LOC", "PER")
            assert 0 <= entity["probability"] <= 1
    assert answer["predictions"][1] == []
    assert answer["probabilities"] == [[e["probability"] for e in entities] for entities in answer["predictions"]]


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_are_answered_in_their_own_characters(both: FlaskClient, name: str) -> None:
    texts = json.loads(ODD[name].decode("utf-8-sig")).get("x", [])
    texts = [text for text in ([texts] if isinstance(texts, str) else texts) if isinstance(text, str)]
    for text, entities in zip(texts, ask(both, x=texts)["predictions"], strict=True):
        for entity in entities:
            assert entity["text"] == text[entity["start"] : entity["end"]]


def test_a_long_text_is_answered_as_a_whole(both: FlaskClient) -> None:
    (entities,) = ask(both, x=[TEXTS[3]])["predictions"]
    assert max(e["end"] for e in entities) > len(TEXTS[3]) // 2


def test_one_server_labels_texts_and_finds_entities(both: FlaskClient) -> None:
    (entities,) = ask(both, x=TEXTS[:1])["predictions"]
    (label,) = ask(both, "/models/topics/predict", x=TEXTS[:1])["predictions"]
    assert isinstance(entities, list)
    assert isinstance(label, str)
    kinds = {model["name"]: (model["task"], model["answers"]) for model in both.get("/models").get_json()["models"]}
    assert kinds == {"default": ("token_classification", "entities"), "topics": ("classification", "label")}


def test_the_log_counts_entities_and_holds_none_of_the_text(
    both: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(both, x=["Zanzibar Quixote " * 3, ""])
    line = capsys.readouterr().out
    logged = json.loads(line)["response"]
    kinds = [[e["label"] for e in entities] for entities in answer["predictions"]]
    assert logged["predictions"] == [{kind: found.count(kind) for kind in set(found)} for found in kinds]
    assert logged["probabilities"] == answer["probabilities"]
    assert "anzibar" not in line
    assert "uixote" not in line


def test_a_pair_is_refused_and_its_place_is_named(both: FlaskClient) -> None:
    response = both.post("/predict", json={"x": ["a", ["b", "c"]]})
    assert response.status_code == 422
    assert "x[1]" in response.get_json()["error"]


def test_hugging_faces_client_gets_the_entities_of_predict(both: FlaskClient) -> None:
    server = make_server("127.0.0.1", 0, both.application, threaded=True)
    with server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        found = InferenceClient(model=f"http://127.0.0.1:{server.server_port}").token_classification(TEXTS[0])
        server.shutdown()
    (expected,) = ask(both, x=TEXTS[:1])["predictions"]
    assert [(f.entity_group, f.score, f.word, f.start, f.end) for f in found] == [
        (e["label"], e["probability"], e["text"], e["start"], e["end"]) for e in expected
    ]


def test_hugging_faces_shape_of_several_texts_is_a_list_of_lists(both: FlaskClient) -> None:
    found = ask(both, "/", inputs=TEXTS[:2])
    assert [len(entities) for entities in found] == [len(e) for e in ask(both, x=TEXTS[:2])["predictions"]]
    kept = ask(both, "/", inputs=TEXTS[:1], parameters={"ignore_labels": ["LOC"], "aggregation_strategy": "simple"})
    assert kept == [[group for group in found[0] if group["entity_group"] != "LOC"]]


def test_top_k_lists_labels_of_the_surest_entities_and_the_schema_says_so(both: FlaskClient) -> None:
    answer = ask(both, x=TEXTS, top_k=2)
    for entities, top in zip(answer["predictions"], answer["top"], strict=True):
        surest = sorted(entities, key=lambda entity: -entity["probability"])[:2]
        assert top == [{"label": entity["label"], "probability": entity["probability"]} for entity in surest]
    found = ask(both, "/", inputs=TEXTS[:1], parameters={"top_k": 1})
    assert [group["start"] for group in found[0]] == [answer["predictions"][0][0]["start"]]
    schemas = both.get("/openapi.json").get_json()["components"]["schemas"]
    fields = (
        schemas["PredictRequest"]["anyOf"][0]["properties"]["top_k"],
        schemas["Parameters"]["properties"]["top_k"],
    )
    assert all("entities" in field["description"] for field in fields)


def test_clouds_get_entities_beside_their_labels(both: FlaskClient) -> None:
    (row,) = ask(both, "/invocations", instances=TEXTS[:1])["predictions"]
    (expected,) = ask(both, x=TEXTS[:1])["predictions"]
    assert row["entities"] == expected
    assert row["label"] == [e["label"] for e in expected]


def test_other_protocols_answer_with_lists_of_labels(both: FlaskClient) -> None:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": TEXTS[:1]}
    outputs = ask(both, "/v2/models/default/infer", inputs=[tensor])["outputs"]
    labels = next(output for output in outputs if output["name"] == "label")
    (expected,) = ask(both, x=TEXTS[:1])["predictions"]
    assert labels["data"] == [e["label"] for e in expected]
    assert labels["shape"] == [1, len(expected)]
    for name, n_dimensions in (("default", 2), ("topics", 1)):
        described = both.get(f"/v2/models/{name}").get_json()["outputs"]
        assert [output["shape"] for output in described] == [[-1] * n_dimensions] * 2
    (row,) = ask(both, "/v1/models/default:predict", instances=TEXTS[:1])["predictions"]
    assert row["label"] == labels["data"]
