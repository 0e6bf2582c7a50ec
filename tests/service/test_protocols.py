"""KServe's own clients against the application, and the protocols' rules that they do not ask for themselves."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.infer_type import RequestedOutput

from serving import app as server
from serving.app import Settings, application
from serving.http import access
from serving.live.live import Live
from tests.support.html_pages import Page
from tests.support.services import free_port
from tests.support.serving_run import instance

BASE = "http://127.0.0.1:8080"
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def client_of(app: Any, protocol: str) -> InferenceRESTClient:
    return InferenceRESTClient(RESTConfig(protocol=protocol, transport=httpx.ASGITransport(app)))


def names(*more: InferInput) -> list[InferInput]:
    return [InferInput("campaign_id", [1], "BYTES", ["c0"]), *more]


def infer(client: TestClient, path: str = "/v2/models/policy", **body: Any) -> httpx.Response:
    inputs = [{"name": "campaign_id", "shape": [1], "datatype": "BYTES", "data": ["c0"]}]
    return client.post(f"{path}/infer", json={"inputs": inputs, **body})


@pytest.fixture
def live(live: Live) -> Live:
    """One that has asked its registry: version 1 serves."""
    live.follow_champion()
    assert live.version == 1
    return live


@pytest.fixture
def client(live: Live) -> TestClient:
    return TestClient(application(live, Settings()), base_url=BASE)


def over_grpc(
    live: Live, ask: Callable[[InferenceGRPCClient], Awaitable[Any]], tokens: Path | None = None, secret: str = ""
) -> Any:
    """What `ask` makes of a client of the server's own gRPC, which stops again."""

    async def scenario() -> Any:
        settings = Settings(grpc_port=free_port(), tokens=tokens)
        serving = await server._grpc(application(live, settings), settings)
        options = [] if not secret else [("authorization", f"Bearer {secret}")]
        try:
            async with InferenceGRPCClient(f"127.0.0.1:{settings.grpc_port}", retries=0) as client:
                client.metadata = options  # for the tests' own calls of the stub
                return await ask(client)
        finally:
            await serving.stop(None)

    return asyncio.run(scenario())


@pytest.mark.parametrize("secured", [False, True], ids=["open", "tokens"])
@pytest.mark.parametrize("root", ["", "/crossmix"])
def test_kserves_clients_find_the_server_alive_and_ready(live: Live, tmp_path: Path, secured: bool, root: str) -> None:
    tokens, headers = None, {}
    if secured:
        tokens = tmp_path / "tokens.json"
        headers = {"authorization": f"Bearer {access.create(tokens, 'bidder', ['serve'])}"}
    app = application(live, Settings(tokens=tokens, root_path=root))

    async def asked() -> None:
        v1, v2 = client_of(app, "v1"), client_of(app, "v2")
        for sent in ({}, headers):
            assert await v1.is_server_live(BASE + root, headers=sent) is True
            assert await v2.is_server_live(BASE + root, headers=sent) is True
            assert await v2.is_server_ready(BASE + root, headers=sent) is True
        for client in (v1, v2):
            assert await client.is_model_ready(BASE + root, "policy", headers=headers) is True
        if secured:
            with pytest.raises(httpx.HTTPStatusError, match="authorization: missing"):
                await v1.is_model_ready(BASE + root, "policy")
        told = await v1.infer(BASE + root, instance(), model_name="policy", headers=headers)
        answer = await v2.infer(BASE + root, InferRequest("policy", names()), "policy", headers=headers)
        assert [part["share"] for part in told["predictions"][0]["allocation"]] == pytest.approx(
            answer.get_output_by_name("share").as_numpy()[0]
        )

    asyncio.run(asked())


def test_the_page_is_for_whoever_asks_for_one(client: TestClient) -> None:
    page = client.get("/", headers=PAGE)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert client.get("/", headers={"accept": "*/*"}).json() == {"status": "alive"}
    kinds = client.get("/openapi.json").json()["paths"]["/"]["get"]["responses"]["200"]["content"]
    assert set(kinds) == {"text/html", "application/json"}
    assert client.head("/", headers=PAGE).headers["content-length"] == str(len(page.content))


def test_the_servers_metadata_name_it_and_what_it_can(client: TestClient, live: Live) -> None:
    told = {"name": "crossmix", "version": version("crossmix"), "extensions": ["binary_tensor_data"]}
    assert client.get("/v2").json() == told
    by_grpc = over_grpc(live, lambda grpc: grpc._client_stub.ServerMetadata(pb.ServerMetadataRequest()))
    assert (by_grpc.name, by_grpc.version, list(by_grpc.extensions)) == tuple(told.values())


def test_a_token_that_may_ask_for_answers_may_ask_what_there_is_to_ask(live: Live, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    secret = access.create(tokens, "bidder", ["serve"])

    async def ask(grpc: InferenceGRPCClient) -> list[Any]:
        stub, metadata = grpc._client_stub, grpc.metadata
        return [
            await stub.ServerMetadata(pb.ServerMetadataRequest(), metadata=metadata),
            await stub.ModelMetadata(pb.ModelMetadataRequest(name="policy"), metadata=metadata),
            await stub.ModelReady(pb.ModelReadyRequest(name="policy"), metadata=metadata),
        ]

    about, policy, ready = over_grpc(live, ask, tokens, secret)
    assert (about.name, policy.name, list(policy.versions), ready.ready) == ("crossmix", "policy", ["1"], True)


@pytest.mark.parametrize("asked", [["amount"], ["platforms", "share"], ["cycle", "degraded", "arm"]])
def test_outputs_that_are_asked_for_are_the_outputs(client: TestClient, live: Live, asked: list[str]) -> None:
    everything = {one["name"]: one for one in infer(client).json()["outputs"]}
    answer = infer(client, outputs=[{"name": name} for name in asked]).json()
    assert [one["name"] for one in answer["outputs"]] == asked
    for one in answer["outputs"]:
        assert one["data"] == everything[one["name"]]["data"]
    assert answer["model_version"] == "1"
    assert {one["name"] for one in infer(client, outputs=[]).json()["outputs"]} == set(everything)
    for raw in (False, True):
        question = names()
        if raw:
            question[0].set_data_from_numpy(np.array([b"c0"], dtype=object), binary_data=True)
        request = InferRequest("policy", question, request_outputs=[RequestedOutput(name) for name in asked])
        told = over_grpc(live, lambda grpc, request=request: grpc.infer(request))  # type: ignore[misc]
        assert [one.name for one in told.outputs] == asked
        assert told.model_version == "1"


def test_the_whole_requests_choice_of_binary_outputs_holds_for_those_that_are_named(live: Live) -> None:
    app = application(live, Settings())
    outputs = [RequestedOutput("share"), RequestedOutput("amount", {"binary_data": False})]
    request = InferRequest("policy", names(), request_outputs=outputs, parameters={"binary_data_output": True})
    body, _ = request.to_rest()
    reply = TestClient(app, base_url=BASE).post("/v2/models/policy/infer", json=body)
    told = json.loads(reply.content[: int(reply.headers["inference-header-content-length"])])["outputs"]
    assert [("data" in one) for one in told] == [False, True]


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        (["shares"], "outputs.shares: unknown output; use share, amount"),
        (["share", "amount", "share"], "outputs.share: asked for twice; name each output once"),
    ],
)
@pytest.mark.parametrize("model", ["policy", "router"])
def test_outputs_that_there_are_not_are_an_error(
    client: TestClient, live: Live, outputs: list[str], sentence: str, model: str
) -> None:
    reply = infer(client, f"/v2/models/{model}", outputs=[{"name": name} for name in outputs])
    assert (reply.status_code, reply.json()["error"].startswith(sentence)) == (400, True), reply.text
    request = InferRequest(model, names(), request_outputs=[RequestedOutput(name) for name in outputs])
    assert refused(live, lambda grpc: grpc.infer(request), sentence) == "INVALID_ARGUMENT"


def refused(live: Live, ask: Callable[[InferenceGRPCClient], Awaitable[Any]], sentence: str) -> str:
    """The status of a call that is refused with the sentence."""
    from grpc.aio import AioRpcError

    with pytest.raises(AioRpcError) as caught:
        over_grpc(live, ask)
    assert sentence in str(caught.value.details())
    return str(caught.value.code().name)


@pytest.mark.parametrize("model", ["policy", "router"])
def test_an_input_that_is_there_twice_is_an_error(client: TestClient, live: Live, model: str) -> None:
    tensor = {"name": "campaign_id", "shape": [1], "datatype": "BYTES"}
    twice = [{**tensor, "data": ["c0"]}, {**tensor, "data": ["c1"]}]
    sentence = "inputs.campaign_id: there twice; send each input once"
    reply = client.post(f"/v2/models/{model}/infer", json={"inputs": twice})
    assert (reply.status_code, reply.json()) == (400, {"error": sentence})
    request = InferRequest(model, names(InferInput("campaign_id", [1], "BYTES", ["c1"])))
    assert refused(live, lambda grpc: grpc.infer(request), sentence) == "INVALID_ARGUMENT"


def test_the_version_that_serves_may_be_named_and_no_other(client: TestClient, live: Live) -> None:
    assert client.get("/v2/models/policy").json()["versions"] == ["1"]
    assert client.get("/v2/models/policy/versions/1").json() == client.get("/v2/models/policy").json()
    assert client.get("/v2/models/policy/versions/1/ready").json() == {"name": "policy", "ready": True}
    assert infer(client, "/v2/models/policy/versions/1").json()["model_version"] == "1"
    sentence = "model_version: '9' of model 'policy' is unknown; version 1 serves, or leave it out"
    for reply in (
        client.get("/v2/models/policy/versions/9"),
        client.get("/v2/models/policy?model_version=9"),
        client.get("/v2/models/policy/versions/9/ready"),
        infer(client, "/v2/models/policy/versions/9"),
    ):
        assert (reply.status_code, reply.json()) == (404, {"error": sentence})
    assert infer(client, "/v2/models/nobody/versions/1").status_code == 404

    named = InferRequest("policy", names(), model_version="1")
    assert over_grpc(live, lambda grpc: grpc.infer(named)).model_version == "1"
    other = InferRequest("policy", names(), model_version="9")
    for ask in (
        lambda grpc: grpc.infer(other),
        lambda grpc: grpc._client_stub.ModelReady(pb.ModelReadyRequest(name="policy", version="9")),
        lambda grpc: grpc._client_stub.ModelMetadata(pb.ModelMetadataRequest(name="policy", version="9")),
    ):
        assert refused(live, ask, sentence) == "NOT_FOUND"


def test_a_user_that_is_no_utf8_is_nobody(live: Live) -> None:
    question = names(InferInput("user_id", [1], "BYTES"))
    question[0].set_data_from_numpy(np.array([b"c0"], dtype=object), binary_data=True)
    question[1].set_data_from_numpy(np.array([b"\xff\xfe"], dtype=object), binary_data=True)
    request = InferRequest("router", question)
    assert refused(live, lambda grpc: grpc.infer(request), "inputs.user_id: not UTF-8") == "INVALID_ARGUMENT"
    body, length = request.to_rest()
    headers = {"inference-header-content-length": str(length)}
    reply = TestClient(application(live, Settings()), base_url=BASE).post(
        "/v2/models/router/infer", content=body, headers=headers
    )
    assert (reply.status_code, reply.json()) == (400, {"error": "inputs: a tensor of BYTES is not UTF-8; send text"})


def test_half_of_a_surrogate_pair_is_refused_wherever_text_comes_in(client: TestClient) -> None:
    limits = json.dumps({"\ud800": {"min": 0.1}})
    rows = [
        client.post("/v1/models/router:predict", content=json.dumps(instance(user_id="\ud800"))),
        client.post("/v1/models/policy:predict", content=json.dumps(instance("\udfff"))),
        infer(client, inputs=[{"name": "limits", "shape": [1], "datatype": "BYTES", "data": [limits]}]),
        client.post("/feedback", content=json.dumps({"event_id": "\ud800"})),
        client.post("/campaigns", content=json.dumps({"campaign_id": "\ud800"})),
        client.post("/v2/models/policy/infer", content=b'{"inputs": [{"name": "\\ud800"}]}'),
    ]
    assert [reply.status_code for reply in rows] == [400] * len(rows)
    assert all(reply.json()["error"] for reply in rows)
    named = {"name": "campaign_id", "shape": [1], "datatype": "BYTES", "data": ["c0"]}
    text = {"name": "limits", "shape": [1], "datatype": "BYTES", "data": [limits]}
    reply = client.post("/v2/models/policy/infer", json={"inputs": [named, text]})
    assert (reply.status_code, "is not JSON" in reply.json()["error"]) == (400, True)


def test_bodies_may_come_compressed(client: TestClient) -> None:
    packed = gzip.compress(json.dumps(instance()).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    reply = client.post("/v1/models/policy:predict", content=packed, headers=headers)
    assert reply.json()["predictions"][0]["campaign_id"] == "c0"
    bomb = gzip.compress(b" " * 50_000_000)
    assert client.post("/v1/models/policy:predict", content=bomb, headers=headers).status_code == 413
    other = client.post("/v1/models/policy:predict", content=packed, headers={"content-encoding": "br"})
    assert other.status_code == 415


def test_head_is_where_get_is(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    filled = {"model_name": "policy", "model_version": "1", "campaign_id": "c0", "experiment_id": "first"}
    asked = [path.format(**filled) for path, methods in paths.items() if "get" in methods]
    assert len(asked) > 15
    for path in asked:
        got, head = client.get(path, headers=PAGE), client.head(path, headers=PAGE)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "kept"])
def test_behind_a_proxy_links_lead_back_below_its_path(live: Live, strips: bool) -> None:
    proxied = TestClient(application(live, Settings(root_path="/crossmix")), base_url=BASE)
    prefix = "" if strips else "/crossmix"
    assert proxied.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/crossmix"}]
    moved = proxied.get(f"{prefix}/experiment/", headers=PAGE, follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (307, "/crossmix/experiment")
    for path in ("/", "/experiment"):
        for link in Page(proxied.get(prefix + path, headers=PAGE).text).links:
            if link.startswith("data:"):
                continue
            target = httpx.URL(f"{BASE}/crossmix{path}").join(link)
            assert target.path.startswith("/crossmix/"), (path, link)
            inner = target.copy_with(path=prefix + target.path.removeprefix("/crossmix"), fragment=None)
            assert proxied.get(str(inner), headers=PAGE).status_code == 200, (path, link)


def test_cloud_events_come_as_their_specification_lets_them(client: TestClient) -> None:
    """Without a time, with parameters of the content type, with data in base64, with quoted attributes."""
    plain = client.post("/v1/models/policy:predict", json=instance(budget=700.0)).json()["predictions"]
    data = instance(budget=700.0)
    envelope = {"id": "1", "source": "//bidder", "type": "question", "specversion": "1.0"}
    kind = {"content-type": "application/cloudevents+json; charset=UTF-8"}
    encoded = base64.b64encode(json.dumps(data).encode()).decode()
    for event in ({**envelope, "data": data}, {**envelope, "data_base64": encoded}):
        reply = client.post("/v1/models/policy:predict", json=event, headers=kind)
        assert reply.headers["content-type"] == "application/cloudevents+json"
        assert reply.json()["data"]["predictions"][0]["allocation"] == plain[0]["allocation"]
    quoted = {f"ce-{name}": f'"{value}"' for name, value in envelope.items()}
    reply = client.post("/v1/models/policy:predict", json=data, headers=quoted)
    assert (reply.status_code, reply.headers["ce-specversion"]) == (200, "1.0")
    for headers, body, sentence in (
        ({"ce-specversion": "1.0", "ce-id": "1"}, data, "source: missing"),
        ({**quoted, "ce-id": "%ff"}, data, "ce-id: not UTF-8"),
        (kind, {**envelope, "data_base64": "*"}, "data_base64: not base64"),
        (kind, {"id": "1", "data": data}, "source: missing"),
        (kind, [envelope], "body: no CloudEvent"),
    ):
        refused = client.post("/v1/models/policy:predict", json=body, headers=headers)
        assert (refused.status_code, sentence in refused.json()["error"]) == (400, True), refused.text
