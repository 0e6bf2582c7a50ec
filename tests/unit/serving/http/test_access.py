"""Tokens: every route asks for its scope, refusals tell no secrets, and a tokens' file others can read is refused."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from crossmix.clock import wall
from pipelines.cli.token import token as commands
from serving.http import access
from serving.http.access import SCOPES, Access, AccessError, Tokens
from serving.http.root import Rooted

ROUTES = {
    ("GET", "/"): "read",
    ("GET", "/page.json"): "read",
    ("GET", "/delivery.csv"): "read",
    ("GET", "/desk/kill"): "admin",
    ("POST", "/desk/kill"): "admin",
    ("GET", "/experiment"): "read",
    ("GET", "/experiment.json"): "read",
    ("GET", "/campaigns"): "read",
    ("GET", "/campaigns/spring"): "read",
    ("GET", "/audit"): "read",
    ("GET", "/serving"): "read",
    ("GET", "/metrics"): "read",
    ("GET", "/openapi.json"): "read",
    ("GET", "/v1/models"): "read|serve",
    ("GET", "/v1/models/policy"): "read|serve",
    ("GET", "/v2"): "read|serve",
    ("GET", "/v2/models"): "read|serve",
    ("GET", "/v2/models/policy"): "read|serve",
    ("GET", "/v2/models/policy/ready"): "read|serve",
    ("GET", "/v2/models/policy/versions/1"): "read|serve",
    ("GET", "/v2/models/policy/versions/1/ready"): "read|serve",
    ("POST", "/v1/models/policy:predict"): "serve",
    ("POST", "/v1/models/policy:explain"): "serve",
    ("POST", "/v2/models/policy/infer"): "serve",
    ("POST", "/v2/models/policy/versions/1/infer"): "serve",
    ("POST", "/feedback"): "feedback",
    ("POST", "/campaigns"): "admin",
    ("PATCH", "/campaigns/spring"): "admin",
    ("POST", "/campaigns/spring/pause"): "admin",
    ("POST", "/campaigns/spring/resume"): "admin",
    ("PUT", "/campaigns/spring/override"): "admin",
    ("DELETE", "/campaigns/spring/override"): "admin",
    ("POST", "/serving/refresh"): "admin",
    ("POST", "/serving/tick"): "admin",
    ("POST", "/v2/repository/models/policy/load"): "admin",
    ("POST", "/v2/repository/models/policy/unload"): "admin",
    ("GET", "/v2/models/policy/versions"): "read",
    ("GET", "/v1/models/a/b"): "read",
    ("GET", "/v2/repository/models"): "read",
    # What no rule names, and paths that only look like one.
    ("POST", "/new"): "admin",
    ("PUT", "/feedback"): "admin",
    ("POST", "/campaigns/x/v1/models/policy:predict"): "admin",
    ("POST", "/v1/models/a/b:predict"): "admin",
    ("POST", "/campaigns/feedback"): "admin",
    ("DELETE", "/v2/models/policy/infer"): "admin",
}
FREE = [("GET", "/healthz"), ("GET", "/v2/health/live"), ("GET", "/v2/health/ready")]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that tells who asks."""
    body = json.dumps({"actor": scope.get("state", {}).get("actor")}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def secrets(file: Path) -> dict[str, str]:
    return {scope: access.create(file, f"has-{scope}", [scope]) for scope in SCOPES}


def ask(app: Any, method: str, path: str, header: str | None = None, **more: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        headers = {"accept": "text/html", **more.pop("headers", {})}
        if header is not None:
            headers["authorization"] = header
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(call())


@pytest.mark.parametrize(("route", "needed"), ROUTES.items(), ids=lambda item: str(item))
def test_every_route_asks_for_its_scope(
    route: tuple[str, str], needed: str, file: Path, secrets: dict[str, str]
) -> None:
    app = Access(echo, Tokens(file))
    for scope in SCOPES:
        answer = ask(app, *route, f"Bearer {secrets[scope]}")
        if scope in (*needed.split("|"), "admin"):
            assert answer.status_code == 200
            assert answer.json() == {"actor": f"has-{scope}"}
        else:
            named = needed.partition("|")[0]
            assert answer.status_code == 403
            assert f"scope {named};" in answer.json()["error"]
            assert f'scope="{named}"' in answer.headers["www-authenticate"]
    assert ask(app, *route).status_code == 401


@pytest.mark.parametrize("route", FREE)
def test_probes_need_no_token_but_cannot_write(route: tuple[str, str], file: Path, secrets: dict[str, str]) -> None:
    app = Access(echo, Tokens(file))
    assert ask(app, *route).status_code == 200
    assert ask(app, "POST", route[1]).status_code == 401


def test_who_wants_no_page_asks_for_liveness_and_needs_no_token(file: Path, secrets: dict[str, str]) -> None:
    app = Access(echo, Tokens(file))
    for wanted, status in (("*/*", 200), ("application/json", 200), ("text/html,*/*;q=0.8", 401), ("TEXT/HTML", 401)):
        assert ask(app, "GET", "/", headers={"accept": wanted}).status_code == status
        assert ask(app, "HEAD", "/", headers={"accept": wanted}).status_code == status
    assert ask(app, "POST", "/", headers={"accept": "*/*"}).status_code == 401
    assert ask(app, "GET", "/page.json", headers={"accept": "*/*"}).status_code == 401


def test_scopes_hold_below_the_servers_own_path(file: Path, secrets: dict[str, str]) -> None:
    """Behind a proxy that keeps the prefix, and behind one that strips it."""
    app = Rooted(Access(echo, Tokens(file)), "/crossmix")
    for prefix in ("", "/crossmix"):
        assert ask(app, "GET", f"{prefix}/healthz").status_code == 200
        assert ask(app, "GET", f"{prefix}/campaigns").status_code == 401
        for method, path, needed in (
            ("POST", "/feedback", "feedback"),
            ("POST", "/v1/models/policy:predict", "serve"),
            ("GET", "/v2/models/policy", "serve"),
            ("GET", "/campaigns", "read"),
        ):
            for scope in ("read", "serve", "feedback"):
                status = ask(app, method, prefix + path, f"Bearer {secrets[scope]}").status_code
                granted = scope == needed or (scope, path) == ("read", "/v2/models/policy")
                assert status == (200 if granted else 403)
        basic = "Basic " + base64.b64encode(f"me:{secrets['read']}".encode()).decode()
        assert ask(app, "GET", f"{prefix}/page.json", basic).status_code == 200
    # Only a whole part of the path is the prefix.
    assert ask(app, "POST", "/crossmixfeedback", f"Bearer {secrets['feedback']}").status_code == 403


def test_the_table_holds_every_route_of_the_application() -> None:
    from fastapi import FastAPI
    from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
    from kserve.protocol.rest.v2_endpoints import register_v2_endpoints

    from serving.experiment import routes as verdict_routes
    from serving.http import resources as routes
    from serving.page import routes as page

    app, live = FastAPI(docs_url=None, redoc_url=None), SimpleNamespace(clock=wall)
    register_v1_endpoints(app, None, None)
    register_v2_endpoints(app, None, None)
    app.include_router(routes.router(live, changed=lambda: None))  # type: ignore[arg-type]
    app.include_router(verdict_routes.router(live))  # type: ignore[arg-type]
    app.include_router(page.router(live, lambda: None, lambda _: []))  # type: ignore[arg-type]
    filled = {"model_name": "policy", "model_version": "1", "campaign_id": "spring"}
    seen = 0
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            route = (method.upper(), path.format(**filled))
            assert route in ROUTES or route in FREE, route
            seen += 1
    assert seen > 20


def test_without_tokens_everybody_may_everything() -> None:
    answer = ask(Access(echo, None), "POST", "/campaigns")
    assert answer.status_code == 200
    assert answer.json() == {"actor": None}


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer nobody",
        "Bearer  two words",
        "Token {read}",
        "{read}",
        "Basic {read}",
        "Bearer {read}x",
        "Bearer {digest}",
        "bearer\t{read}",
        "Bearer ü",
    ],
)
def test_whatever_is_no_token_gets_one_and_the_same_answer(header: str, file: Path, secrets: dict[str, str]) -> None:
    app = Access(echo, Tokens(file))
    digest = json.loads(file.read_text())[0]["sha256"]
    sent = header.format(read=secrets["read"], digest=digest).encode("utf-8")
    answer = ask(app, "GET", "/campaigns", sent)  # type: ignore[arg-type]
    want = ask(app, "GET", "/campaigns", "Bearer unknown")
    assert (answer.status_code, answer.content) == (401, want.content)
    assert answer.headers["www-authenticate"] == 'Bearer realm="crossmix", error="invalid_token"'
    for leaked in ("has-", "cmx_", digest[:8]):
        assert leaked not in answer.text


def test_no_token_is_challenged_without_an_error_and_two_headers_are_refused(
    file: Path, secrets: dict[str, str]
) -> None:
    app = Access(echo, Tokens(file))
    answer = ask(app, "GET", "/campaigns")
    assert answer.headers["www-authenticate"] == 'Bearer realm="crossmix"'
    assert answer.json()["error"].startswith("authorization: missing")

    async def twice() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            pairs = [("authorization", f"Bearer {secrets[scope]}") for scope in ("read", "admin")]
            return await client.request("GET", "/campaigns", headers=pairs)

    assert asyncio.run(twice()).status_code == 401


def test_the_page_takes_a_token_as_password_and_nothing_else_does(file: Path, secrets: dict[str, str]) -> None:
    app = Access(echo, Tokens(file))
    good = httpx.BasicAuth("anybody", secrets["read"])
    assert ask(app, "GET", "/", auth=good).json() == {"actor": "has-read"}
    assert ask(app, "GET", "/", auth=httpx.BasicAuth(secrets["read"], "wrong")).status_code == 401
    assert ask(app, "GET", "/", auth=httpx.BasicAuth("anybody", secrets["serve"])).status_code == 403
    assert ask(app, "GET", "/campaigns", auth=good).status_code == 401
    # A browser sends the password by itself: it must open no change.
    assert ask(app, "POST", "/", auth=httpx.BasicAuth("anybody", secrets["admin"])).status_code == 401
    assert ask(app, "GET", "/").headers.get_list("www-authenticate")[0].startswith("Basic")
    assert "Basic" not in ask(app, "GET", "/campaigns").headers["www-authenticate"]
    for broken in ("Basic !!!", "Basic YWJj", "Basic /w=="):
        assert ask(app, "GET", "/", broken).status_code == 401


def test_secrets_are_compared_in_constant_time_with_every_token(
    file: Path, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or real(one, other))
    tokens = Tokens(file)
    for secret in (secrets["read"], secrets["admin"], "unknown"):
        compared.clear()
        tokens.known(secret)
        assert len(compared) == len(SCOPES)


def test_a_websocket_is_closed(file: Path, secrets: dict[str, str]) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Access(echo, Tokens(file))({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_running_server_follows_the_file_and_outlives_a_broken_one(file: Path, secrets: dict[str, str]) -> None:
    now = [0.0]
    tokens = Tokens(file, clock=lambda: now[0])
    access.revoke(file, "has-read")
    added = access.create(file, "new", ["read"])
    assert tokens.known(added) is None, "looked before its time"
    now[0] += access.FOLLOW_SECONDS
    assert tokens.known(secrets["read"]) is None
    assert tokens.known(added) is not None
    file.write_text("[")
    now[0] += access.FOLLOW_SECONDS
    assert tokens.known(added) is not None
    file.unlink()
    now[0] += access.FOLLOW_SECONDS
    assert tokens.known(added) is not None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606, 0o700])
def test_a_file_that_others_can_use_is_refused(mode: int, file: Path, secrets: dict[str, str]) -> None:
    file.chmod(mode)
    with pytest.raises(AccessError, match=f"its mode is {mode:o}, others could use it; run chmod 600"):
        Tokens(file)
    with pytest.raises(AccessError, match="chmod 600"):
        access.create(file, "more", ["read"])


GOOD = {"name": "a", "sha256": "0" * 64, "scopes": ["read"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "not JSON; make it again"),
        ("[" * 100_000, "not JSON; make it again"),
        ("\udcff", "not JSON; make it again"),
        ("{}", "dict; it holds an array"),
        ("[1]", r"\[0\]: not a token; each has name, sha256 and scopes"),
        (json.dumps([GOOD | {"more": 1}]), r"\[0\]: not a token"),
        (json.dumps([GOOD | {"name": "a b"}]), r"\[0\].name: 'a b'; use 1 to 64 letters"),
        (json.dumps([GOOD | {"sha256": "0" * 63}]), r"\[0\].sha256: not 64 hex digits; make the token again"),
        (json.dumps([GOOD | {"scopes": []}]), r"\[0\].scopes: none; give one or more of read, serve, feedback, admin"),
        (json.dumps([GOOD | {"scopes": "read"}]), r"\[0\].scopes: none"),
        (json.dumps([GOOD | {"scopes": ["root"]}]), r"\[0\].scopes: 'root' is unknown; use read, serve"),
        (json.dumps([GOOD | {"scopes": [["read"]]}]), r"is unknown; use read, serve"),
        (json.dumps([GOOD, GOOD]), "name 'a' is there twice; each token has a name of its own"),
    ],
)
def test_a_malformed_file_is_refused_with_a_sentence(content: str, told: str, file: Path) -> None:
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    file.chmod(0o600)
    with pytest.raises(AccessError, match=told):
        Tokens(file)


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(AccessError, match=r"cannot be read .No such file.*; make it with crossmix token create"):
        Tokens(file)


def test_the_commands_make_list_and_end_tokens(file: Path) -> None:
    runner = CliRunner()

    def run(*words: str) -> Any:
        return runner.invoke(commands, [*words, "--file", str(file)])

    made = run("create", "bidder", "--scope", "serve", "--scope", "feedback")
    secret = made.stdout.strip()
    assert made.exit_code == 0
    assert secret.startswith("cmx_")
    assert file.stat().st_mode & 0o777 == 0o600
    assert secret not in file.read_text()
    found = Tokens(file).known(secret)
    assert found is not None
    assert found.scopes == ("serve", "feedback")
    assert run("list").stdout == "bidder\tserve, feedback\n"
    for words, told in (
        (("create", "bidder", "--scope", "read"), "error: name: 'bidder' is taken"),
        (("create", "other", "--scope", "root"), "error: token.scopes: 'root' is unknown"),
        (("create", "no good", "--scope", "read"), "error: token.name: 'no good'; use"),
        (("revoke", "other"), "error: name: no token 'other'"),
    ):
        refused = run(*words)
        assert (refused.exit_code, refused.stderr.splitlines()[0][: len(told)]) == (2, told)
    assert run("revoke", "bidder").exit_code == 0
    assert Tokens(file).known(secret) is None
    gone = runner.invoke(commands, ["create", "a", "--scope", "read", "--file", str(file.parent / "no" / "t.json")])
    assert gone.exit_code == 2
    assert "name a file in a folder that exists" in gone.stderr
    assert list(file.parent.iterdir()) == [file], "nothing is left lying about"


def test_grpc_asks_for_tokens_too(file: Path, secrets: dict[str, str]) -> None:
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as services

    class Servicer(services.GRPCInferenceServiceServicer):  # type: ignore[misc]
        async def ServerLive(self, *_: Any) -> Any:
            return messages.ServerLiveResponse(live=True)

        async def ModelMetadata(self, *_: Any) -> Any:
            return messages.ModelMetadataResponse(name="policy")

        async def ModelReady(self, *_: Any) -> Any:
            return messages.ModelReadyResponse(ready=True)

        async def ServerMetadata(self, *_: Any) -> Any:
            return messages.ServerMetadataResponse(name="crossmix")

        async def ModelInfer(self, *_: Any) -> Any:
            return messages.ModelInferResponse(id="answered")

        async def RepositoryModelUnload(self, *_: Any) -> Any:
            return messages.RepositoryModelUnloadResponse()

    calls = {
        "ServerLive": (messages.ServerLiveRequest(), None),
        "ModelMetadata": (messages.ModelMetadataRequest(name="policy"), "read|serve"),
        "ModelReady": (messages.ModelReadyRequest(name="policy"), "read|serve"),
        "ServerMetadata": (messages.ServerMetadataRequest(), "read|serve"),
        "ModelInfer": (messages.ModelInferRequest(model_name="policy"), "serve"),
        "RepositoryModelUnload": (messages.RepositoryModelUnloadRequest(model_name="policy"), "admin"),
    }

    async def scenario() -> None:
        server = grpc.aio.server(interceptors=[access.grpc_interceptor(Tokens(file))])
        services.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = services.GRPCInferenceServiceStub(channel)

            async def status(call: str, header: str | None) -> tuple[str, str]:
                metadata = None if header is None else (("authorization", header),)
                try:
                    await getattr(stub, call)(calls[call][0], metadata=metadata)
                except grpc.aio.AioRpcError as error:
                    return error.code().name, error.details() or ""
                return "OK", ""

            for call, (_, needed) in calls.items():
                nobody = "OK" if needed is None else "UNAUTHENTICATED"
                assert (await status(call, None))[0] == nobody
                assert (await status(call, "Bearer unknown"))[0] == nobody
                assert (await status(call, f"Basic {secrets['admin']}"))[0] == nobody
                for scope in SCOPES:
                    code, told = await status(call, f"Bearer {secrets[scope]}")
                    if needed is None or scope in (*needed.split("|"), "admin"):
                        assert code == "OK"
                    else:
                        assert code == "PERMISSION_DENIED"
                        assert f"scope {needed.partition('|')[0]};" in told
        await server.stop(None)

    asyncio.run(scenario())
