"""The server's own OpenAPI, and what a fuzzer of it finds: no fault, no traceback, no reset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from starlette.testclient import TestClient

from serving import server
from serving.live import Live
from tests.serving_run import NAMES, instance

HEALTH = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
]


def tensor(name: str, shape: list[int], datatype: str, data: list[Any]) -> dict[str, Any]:
    """An input of V2."""
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


@pytest.fixture
def app(live: Live) -> Any:
    return server.application(live, server.Settings())


@pytest.fixture
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def api(app: Any) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", app)


schema = schemathesis.pytest.from_fixture("api")


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=HEALTH)
def test_no_request_of_the_fuzzer_is_a_fault(case: Any) -> None:
    response = case.call()
    case.validate_response(response, checks=[not_a_server_error])
    assert "Traceback" not in response.text
    if response.status_code >= 400 and case.method != "HEAD":
        assert response.json()["error"], response.text


@pytest.mark.parametrize(
    ("body", "content", "status", "sentence"),
    [
        (b"{", "application/json", 400, "Unrecognized request format"),
        (b"\xff\xfe", "text/plain", 400, "body: not JSON"),
        (b"[]", "application/json", 400, "instances: missing"),
        (b'{"instances": 7}', "application/json", 400, "instances: missing"),
        (b'{"instances": [{"campaign_id": "c0", "budget": -5}]}', "application/json", 400, "budget: -5"),
        (b'{"instances": [{"campaign_id": "c0", "budget": NaN}]}', "application/json", 400, "Unrecognized"),
        (b" " * 10_000_000, "application/json", 413, "body: larger than 1048576 bytes"),
    ],
)
def test_a_bad_v1_body_is_one_sentence(
    client: TestClient, body: bytes, content: str, status: int, sentence: str
) -> None:
    reply = client.post("/v1/models/policy:predict", content=body, headers={"content-type": content})
    assert (reply.status_code, sentence in reply.json()["error"]) == (status, True), reply.text


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (
            {"name": "campaign_id", "shape": [1], "datatype": "FP32", "data": [1.0]},
            "inputs.campaign_id: datatype float32",
        ),
        (
            {"name": "state", "shape": [1, 640], "datatype": "FP32", "data": [0.0] * 639},
            "inputs.state: not FP32 of shape",
        ),
        ({"name": "state", "shape": [1, 639], "datatype": "FP32", "data": [0.0] * 639}, "inputs.state: shape [1, 639]"),
        ({"name": "budget", "shape": [1], "datatype": "FP64", "data": ["x"]}, "inputs.budget: not FP64"),
        ({"name": "budget", "shape": [1], "datatype": "FP64", "data": [-1.0]}, "budget: -1.0"),
        ({"name": "limits", "shape": [1], "datatype": "BYTES", "data": ["{"]}, "limits: '{' is not JSON"),
        ({"name": "colour", "shape": [1], "datatype": "BYTES", "data": ["red"]}, "inputs.colour: unknown input"),
        ({"name": "cycle", "shape": [2], "datatype": "INT64", "data": [1, 2]}, "inputs.cycle: shape [2]; want [1]"),
        ({"name": "state", "shape": [1, 640], "datatype": "FP128", "data": [0.0] * 640}, "inputs.state"),
    ],
)
def test_a_bad_v2_tensor_is_one_sentence(client: TestClient, bad: dict[str, Any], sentence: str) -> None:
    named = tensor("campaign_id", [1], "BYTES", ["c0"])
    inputs = [bad] if bad["name"] == "campaign_id" else [named, bad]
    reply = client.post("/v2/models/policy/infer", json={"inputs": inputs})
    assert reply.status_code in (400, 422), reply.text
    assert sentence in reply.json()["error"]


def test_a_v2_request_without_inputs_names_the_field(client: TestClient) -> None:
    reply = client.post("/v2/models/policy/infer", json={})
    assert reply.status_code == 422
    assert "inputs" in reply.json()["error"]
    assert client.post("/v2/models/nobody/infer", json={"inputs": []}).status_code == 404
    assert client.get("/nowhere").json() == {"error": "Not Found"}
    assert client.delete("/campaigns").status_code == 405


def test_models_cannot_be_unloaded_from_outside(client: TestClient) -> None:
    assert client.post("/v2/repository/models/policy/unload").status_code == 404
    assert client.post("/v1/models/policy:predict", json=instance()).status_code == 200


def test_the_schema_tells_bodies_answers_and_errors(client: TestClient) -> None:
    from jsonschema_rs import validate

    told = client.get("/openapi.json").json()
    predict = told["paths"]["/v1/models/{model_name}:predict"]["post"]
    assert predict["parameters"][0]["schema"]["enum"] == ["policy", "control", "router"]
    schemas = told["components"]["schemas"]
    question = instance(limits={NAMES[0]: {"min": 0.1}})["instances"][0]
    validate(schemas["Question"], question)
    answer = client.post("/v1/models/policy:predict", json={"instances": [question]}).json()["predictions"][0]
    validate(schemas["Prediction"], answer)
    assert {"400", "401", "403", "413", "422", "503"} <= set(predict["responses"])
    assert json.loads(json.dumps(told)) == told
