"""The server's own OpenAPI, and what a fuzzer of it finds: no fault, no traceback, no reset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from serving import app as server
from serving.live.live import Live
from tests.support.serving_run import NAMES, instance

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
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made


@pytest.mark.slow
def test_no_request_of_the_fuzzer_is_a_fault(app: Any) -> None:
    """Every operation of the server's own OpenAPI, with requests that fit it and requests that do not."""
    api = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"host": "localhost"})
    tried = set()
    for found in api.get_all_operations():
        operation = found.ok()

        @settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def fuzz(case: Any) -> None:
            response = case.call(headers={"host": "localhost"})
            tried.add((case.method, case.path, response.status_code < 400))
            assert response.status_code < 500 or response.status_code == 503, response.text
            assert "Traceback" not in response.text
            if response.status_code >= 400:
                assert response.json()["error"], response.text

        fuzz()
    assert len({path for _, path, _ in tried}) > 15
    assert ("POST", "/v1/models/{model_name}:predict", False) in tried
    assert any(good for _, path, good in tried if path == "/campaigns")


@pytest.mark.parametrize(
    ("body", "content", "status", "sentence"),
    [
        (b"{", "application/json", 400, "body: not JSON"),
        (b"\xff\xfe", "text/plain", 400, "body: not JSON"),
        (b"[]", "application/json", 400, "instances: missing"),
        (b'{"instances": 7}', "application/json", 400, "instances: missing"),
        (b'{"instances": [{"campaign_id": "c0", "budget": -5}]}', "application/json", 400, "budget: -5"),
        (b'{"instances": [{"campaign_id": "c0", "budget": NaN}]}', "application/json", 400, "body: not JSON"),
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
        (
            {"name": "budget", "shape": [1], "datatype": "FP64", "data": ["x"]},
            "inputs.budget: not all of its data are FP64",
        ),
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
    assert reply.status_code == 400
    assert "inputs" in reply.json()["error"]
    assert client.post("/v2/models/nobody/infer", json={"inputs": []}).status_code == 404
    assert client.get("/nowhere").json() == {"error": "Not Found"}
    assert client.delete("/campaigns").status_code == 405


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"inference-header-content-length": "abc"}, b"{}"),
        ({"inference-header-content-length": "9999"}, b"{}"),
        ({"inference-header-content-length": "2"}, b"{}xxxx"),
        (
            {"inference-header-content-length": "113"},
            b'{"inputs":[{"name":"campaign_id","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}'
            b"          \xff\x00\x00\x00c0",
        ),
    ],
)
def test_binary_bodies_that_do_not_fit_are_refused(client: TestClient, headers: dict[str, str], body: bytes) -> None:
    reply = client.post("/v2/models/policy/infer", content=body, headers=headers)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]


@pytest.mark.parametrize(
    ("datatype", "data"), [("BOOL", ["false"]), ("INT64", [1.7]), ("FP64", ["7"]), ("FP64", [True]), ("BYTES", [7])]
)
def test_values_of_another_datatype_are_refused(client: TestClient, datatype: str, data: list[Any]) -> None:
    name = {"BOOL": "explore", "INT64": "cycle", "FP64": "budget", "BYTES": "campaign_id"}[datatype]
    inputs = [tensor("campaign_id", [1], "BYTES", ["c0"])] * (name != "campaign_id") + [
        tensor(name, [1], datatype, data)
    ]
    reply = client.post("/v2/models/policy/infer", json={"inputs": inputs})
    assert reply.status_code == 400
    assert f"not all of its data are {datatype}" in reply.json()["error"]


def test_an_open_server_hears_its_own_machine_only(client: TestClient) -> None:
    """A web page in a browser of this machine can post to loopback, or make its own name point there."""
    foreign = client.post("/campaigns/c0/pause", headers={"origin": "https://evil.example"})
    rebound = client.get("/campaigns", headers={"host": "evil.example:8080"})
    assert (foreign.status_code, rebound.status_code) == (403, 403)
    assert client.post("/campaigns/c0/pause", headers={"origin": "http://127.0.0.1:8080"}).status_code == 200


def test_a_length_of_many_digits_is_still_a_length(client: TestClient) -> None:
    headers = {"content-length": "000000000000000000" + "5000000"}
    reply = client.post("/v1/models/policy:predict", content=b" " * 5_000_000, headers=headers)
    assert reply.status_code == 413


def test_models_cannot_be_unloaded_from_outside(client: TestClient) -> None:
    assert client.post("/v2/repository/models/policy/unload").status_code == 404
    assert client.post("/v1/models/policy:predict", json=instance()).status_code == 200


def test_the_schema_tells_bodies_answers_and_errors(client: TestClient) -> None:
    from jsonschema_rs import validate

    told = client.get("/openapi.json").json()
    predict = told["paths"]["/v1/models/{model_name}:predict"]["post"]
    assert predict["parameters"][0]["schema"]["enum"] == ["policy", "control", "canary", "router"]
    schemas = told["components"]["schemas"]
    question = instance(limits={NAMES[0]: {"min": 0.1}})["instances"][0]
    validate(schemas["Question"], question)
    answer = client.post("/v1/models/policy:predict", json={"instances": [question]}).json()["predictions"][0]
    validate(schemas["Prediction"], answer)
    assert {"400", "401", "403", "413", "422", "503"} <= set(predict["responses"])
    assert json.loads(json.dumps(told)) == told
