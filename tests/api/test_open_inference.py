"""Triton's own client, and bodies that it does not send."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from flask.testing import FlaskClient
from tritonclient.utils import InferenceServerException

from artifacts import LABELS, tiny_artifact
from retort.api.infer_request import HEADER_LENGTH
from retort.app import create_app
from retort.config import ServeSettings

TEXTS = ["how to sort", "java", "", "é 你 👍"]
INFER = "/v2/models/default/infer"


def predict(client: FlaskClient, x: Any) -> tuple[list[str], list[float]]:
    answer = client.post("/predict", json={"x": x}).get_json()
    return answer["predictions"], answer["probabilities"]


def tensor(items: Any, binary: bool) -> triton.InferInput:
    array = np.array(items, object)
    found = triton.InferInput("text", list(array.shape), "BYTES")
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def body(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]} | changes]}


def test_its_client_finds_server_and_model(address: str) -> None:
    with triton.InferenceServerClient(address) as asking:
        assert asking.is_server_live()
        assert asking.is_server_ready()
        assert asking.is_model_ready("default")
        assert not asking.is_model_ready("nope")
        assert asking.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        metadata = asking.get_model_metadata("default")
        assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert {output["name"]: output["datatype"] for output in metadata["outputs"]} == {
            "label": "BYTES", "probability": "FP32"
        }  # fmt: skip
        (version,) = metadata["versions"]
        assert asking.is_model_ready("default", version)
        assert not asking.is_model_ready("default", "1")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("x", [TEXTS, [["a", "b"], ["c", ""]], ["one"]], ids=["texts", "pairs", "one"])
def test_its_client_gets_the_answers_of_predict(
    address: str, client: FlaskClient, binary_in: bool, binary_out: bool, x: Any
) -> None:
    outputs = [triton.InferRequestedOutput(name, binary_out) for name in ("label", "probability")]
    with triton.InferenceServerClient(address) as asking:
        for wanted in (None, outputs):
            result = asking.infer("default", [tensor(x, binary_in)], outputs=wanted, request_id="7")
            labels, probabilities = predict(client, x)
            assert [v if isinstance(v, str) else v.decode() for v in result.as_numpy("label")] == labels
            assert result.as_numpy("probability").dtype == np.float32
            assert result.as_numpy("probability") == pytest.approx(probabilities, abs=1e-5)
            assert result.get_response()["id"] == "7"


def test_its_client_may_name_the_version(address: str) -> None:
    with triton.InferenceServerClient(address) as asking:
        asking.infer("default", [tensor(TEXTS, True)], model_version="20260106220623")
        with pytest.raises(InferenceServerException, match="no such version"):
            asking.infer("default", [tensor(TEXTS, True)], model_version="1")


def test_its_client_raises_our_sentence(address: str) -> None:
    with triton.InferenceServerClient(address) as asking, pytest.raises(InferenceServerException, match="of that name"):
        asking.infer("nope", [tensor(TEXTS, True)])


def test_a_single_output_comes_alone(client: FlaskClient) -> None:
    answer = client.post(INFER, json=body() | {"outputs": [{"name": "probability"}]}).get_json()
    assert [output["name"] for output in answer["outputs"]] == ["probability"]
    assert "id" not in answer


def test_several_labels_a_text_fill_a_rectangle(tmp_path: Path) -> None:
    tiny_artifact(tmp_path, task="multi_label_classification", threshold=0.45)
    client = create_app(ServeSettings(models_dir=tmp_path, n_threads=1)).test_client()
    x = ["java", "how to", "a b c d", "sql 7 7 7"]
    labels, probabilities = predict(client, x)
    width = max(map(len, labels))
    shown = client.post(INFER, json=body(data=x, shape=[4])).get_json()["outputs"]
    assert [output["shape"] for output in shown] == [[4, width]] * 2
    for output, rows, filler in zip(shown, (labels, probabilities), ("", 0.0), strict=True):
        assert output["data"] == [value for row in rows for value in [*row, *[filler] * (width - len(row))]]
    assert set(shown[0]["data"]) <= {*LABELS, ""}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (body(name="input"), "`inputs.name`: expected `text`, got a string."),
        (body(datatype="FP32"), "`inputs.datatype`: expected `BYTES`, got a string."),
        (body(shape=[-1]),
         "`inputs.shape`: expected a list of whole numbers: [N] of texts, [N, 2] of pairs, got a number."),
        (body(data=["a", 1]), "text[1]: expected a string or a pair of strings, got a number."),
        (body() | {"outputs": [{"name": "logits"}]},
         "`outputs.name`: expected `label` or `probability`, got a string."),
        ({"inputs": []}, "`inputs`: expected a list of one object, the tensor `text`, got a list."),
    ],
    ids=str,
)  # fmt: skip
def test_a_refusal_names_the_field_or_the_item(client: FlaskClient, given: object, message: str) -> None:
    response = client.post(INFER, json=given)
    assert (response.status_code, response.get_json()["error"]) == (422, message)


def binary(
    packed: bytes, size: int | None = None, shape: list[int] | None = None, header: str = ""
) -> tuple[bytes, str]:
    size = len(packed) if size is None else size
    head = {"name": "text", "datatype": "BYTES", "shape": shape or [1], "parameters": {"binary_data_size": size}}
    encoded = json.dumps({"inputs": [head]}).encode()
    return encoded + packed, header or str(len(encoded))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (binary(b"\1\0\0\0a"), 200),
        (binary(b"\0\0\0\0"), 200),
        (binary(b"\1\0\0\0a\1\0\0\0b", shape=[1, 2]), 200),
        (binary(b"", shape=[0]), 200),
        (binary(b"\1\0\0\0a", size=4), 422),
        (binary(b"\1\0\0\0a", shape=[2]), 422),
        (binary(b"\1\0\0"), 422),
        (binary(b"\xff\xff\xff\xffa"), 422),
        (binary(b"\1\0\0\0\xff"), 422),
        (binary(b"\1\0\0\0a", header="0"), 400),
        (binary(b"\1\0\0\0a", header="-1"), 422),
        (binary(b"\1\0\0\0a", header="9" * 5000), 422),
        (binary(b"\1\0\0\0a", header="\u0662"), 422),
    ],
)
def test_binary_data_fit_exactly_or_are_refused(client: FlaskClient, given: tuple[bytes, str], status: int) -> None:
    for content_type in ("application/octet-stream", "application/json", ""):
        response = client.post(INFER, data=given[0], content_type=content_type, headers={HEADER_LENGTH: given[1]})
        assert response.status_code == status, response.text


def test_a_page_of_another_site_must_say_what_it_sends(client: FlaskClient) -> None:
    sites = ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://elsewhere.example"}, {"Origin": "http://["})
    for headers in sites:
        refused = client.post(INFER, data=json.dumps(body()), content_type="", headers=headers)
        assert (refused.status_code, refused.get_json()["error_type"]) == (403, "ForeignPage")
        assert client.post(INFER, json=body(), headers=headers).status_code == 200
    own = {"Origin": "http://localhost"}
    assert client.post(INFER, data=json.dumps(body()), content_type="", headers=own).status_code == 200


def test_other_types_are_refused(client: FlaskClient) -> None:
    assert client.post(INFER, data=json.dumps(body()), content_type="text/plain").status_code == 415
