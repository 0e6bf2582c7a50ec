"""`crossmix serve` as its users meet it: KServe's clients, promotion under load, restarts, tokens, SIGTERM."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from crossmix import state
from tests.support.served_process import SECONDS, Server
from tests.support.services import free_port
from tests.support.serving_run import CAMPAIGNS, NAMES, Run, instance

Serve = Callable[..., Server]


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


@pytest.mark.slow
def test_kserves_own_clients_call_it_as_on_a_cluster(run: Run, serve: Serve) -> None:
    from grpc import aio
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
    from kserve.protocol.grpc import grpc_predict_v2_pb2

    server = serve(run)
    states = np.random.default_rng(0).normal(size=(2, state.ALLOCATION.size)).astype(np.float32)

    def inputs(binary: bool) -> list[Any]:
        made = [InferInput("campaign_id", [2], "BYTES"), InferInput("state", [2, state.ALLOCATION.size], "FP32")]
        made[0].set_data_from_numpy(np.array([name.encode() for name in CAMPAIGNS], dtype=object), binary_data=binary)
        made[1].set_data_from_numpy(states, binary_data=binary)
        return made

    async def asked() -> list[np.ndarray]:
        v1, v2 = (InferenceRESTClient(RESTConfig(protocol=protocol)) for protocol in ("v1", "v2"))
        body = {
            "instances": [
                {"campaign_id": name, "state": row.astype(float).tolist()}
                for name, row in zip(CAMPAIGNS, states, strict=True)
            ]
        }
        assert await v1.is_server_live(server.url)
        told = (await v1.infer(server.url, body, model_name="policy"))["predictions"]
        found = [np.array([[line["share"] for line in one["allocation"]] for one in told])]
        for binary in (False, True):
            answer = await v2.infer(server.url, InferRequest("policy", inputs(binary)), model_name="policy")
            found.append(answer.get_output_by_name("share").as_numpy())
        grpc = InferenceGRPCClient(f"127.0.0.1:{server.grpc_port}")
        assert await grpc.is_server_ready()
        assert await grpc.is_model_ready("router")
        unload = grpc_predict_v2_pb2.RepositoryModelUnloadRequest(model_name="router")
        with pytest.raises(aio.AioRpcError, match="UNIMPLEMENTED"):
            await grpc._client_stub.RepositoryModelUnload(unload)
        answer = await grpc.infer(InferRequest("policy", inputs(True)))
        found.append(answer.get_output_by_name("share").as_numpy())
        assert [name.decode() for name in answer.get_output_by_name("platforms").as_numpy()] == list(NAMES)
        routed = InferRequest(
            "router",
            [InferInput("campaign_id", [1], "BYTES", [b"c0"]), InferInput("user_id", [1], "BYTES", [b"ann"])],
        )
        arm = (await grpc.infer(routed)).get_output_by_name("arm").as_numpy()[0].decode()
        reply = server.http.post("/v1/models/router:predict", json=instance(user_id="ann"))
        assert reply.headers["x-crossmix-arm"] == arm
        return found

    shares = asyncio.run(asked())
    for other in shares[1:]:
        np.testing.assert_allclose(other, shares[0], atol=1e-6)
    infer = "/inference.GRPCInferenceService/ModelInfer"
    counted = f'crossmix_request_seconds_count{{route="{infer}",status="OK"}} 2.0'
    assert counted in server.http.get("/metrics").text
    assert server.end() == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    calls = [(line["route"], line["status"]) for line in lines if line.get("method") == "gRPC"]
    assert calls.count((infer, "OK")) == 2
    assert ("unmatched", "UNIMPLEMENTED") in calls


@pytest.mark.slow
def test_promotion_and_rollback_fail_no_request_and_are_audited(run: Run, serve: Serve) -> None:
    server = serve(run, "--set", "serving.watch_seconds=0.5", "--grpc-port", "0")
    seen: set[tuple[int, Any]] = set()
    stop = threading.Event()

    def load() -> None:
        with httpx.Client(timeout=SECONDS) as client:
            while not stop.is_set():
                reply = client.post(f"{server.url}/v1/models/policy:predict", json=instance())
                told = reply.json()["predictions"][0]["version"] if reply.status_code == 200 else reply.text
                seen.add((reply.status_code, told))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        promoted = cli("promote", str(run.out), "2", "--reason", "a trial", "--server", server.url)
        rolled = cli("rollback", str(run.out), "--reason", "worse", "--server", server.url)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert promoted.returncode == 0, promoted.stderr
    assert f"answers with version 2, bundle {run.digests[1][:12]}" in promoted.stdout
    assert f"answers with version 1, bundle {run.digests[0][:12]}" in rolled.stdout
    assert {status for status, _ in seen} == {200}
    assert {1, 2} <= {version for _, version in seen}
    trail = [(row["action"], row["subject"], row["reason"]) for row in server.http.get("/audit").json()["entries"]]
    assert ("bundle.serve", "version 2", "a trial") in trail
    assert ("bundle.serve", "version 1", "worse") in trail
    again = cli("promote", str(run.out), "9", "--reason", "x", "--server", server.url)
    assert again.returncode == 2
    assert "no version or alias '9'" in again.stderr


@pytest.mark.slow
def test_after_a_kill_arms_overrides_and_feedback_are_as_before(run: Run, serve: Serve) -> None:
    server = serve(run, "--grpc-port", "0")
    bodies = {"instances": [{"campaign_id": "c0", "user_id": f"user {n}"} for n in range(200)]}
    arms = [one["arm"] for one in server.http.post("/v1/models/router:predict", json=bodies).json()["predictions"]]
    killed = cli("override", "set", "c0", "--reason", "stop", "--server", server.url)
    assert killed.returncode == 0, killed.stderr
    at_once = server.http.post("/v1/models/policy:predict", json=instance()).json()["predictions"][0]
    assert at_once["override"]["kind"] == "static"
    event = {"event_id": "event 1", "campaign_id": "c0", "arm": "policy", "platform": NAMES[0]}
    event |= {"cycle": 0, "impressions": 5}
    assert server.http.post("/feedback", json=event).json()["accepted"] == 1
    server.end(signal.SIGKILL)
    again = serve(run, "--grpc-port", "0")
    told = again.http.post("/v1/models/router:predict", json=bodies).json()["predictions"]
    assert [one["arm"] for one in told] == arms
    assert {one["override"]["kind"] for one in told} == {"static"}
    receipt = again.http.post("/feedback", json=event).json()
    assert (receipt["accepted"], receipt["duplicates"]) == (0, 1)
    assert "event 1" not in again.log.read_text()
    assert "user 7" not in again.log.read_text()


@pytest.mark.slow
def test_sigterm_finishes_what_is_under_way(run: Run, serve: Serve) -> None:
    server = serve(run, "--grpc-port", "0")
    good, bad = [], []
    answered: set[str] = set()
    began = threading.Barrier(5)

    def load() -> None:
        with httpx.Client(timeout=SECONDS) as client:
            began.wait()
            for n in range(100_000):
                user = f"u{n % 50}"
                try:
                    reply = client.post(f"{server.url}/v1/models/router:predict", json=instance(user_id=user))
                except httpx.ConnectError:
                    return
                except httpx.HTTPError as error:
                    # A connection that was idle when the server closed it; no request of it had begun to be answered.
                    bad.append(error)
                    return
                good.append(reply.status_code)
                answered.add(user)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    began.wait()
    deadline = time.monotonic() + SECONDS
    while len(good) < 100 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.end() == 0
    for thread in threads:
        thread.join(timeout=SECONDS)
    assert set(good) == {200}
    assert all(isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) for error in bad)
    assert len(good) >= 100
    again = serve(run, "--grpc-port", "0")
    told = again.http.get("/experiment.json").json()
    written = sum(told["sample_ratio"]["users"].values())
    assert len(answered) <= written <= len(answered) + len(bad)


@pytest.mark.slow
def test_other_addresses_need_tokens_and_tokens_have_scopes(run: Run, serve: Serve, tmp_path: Any) -> None:
    refused = cli("serve", str(run.out), "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "callers need tokens" in refused.stderr
    file = tmp_path / "tokens.json"
    tokens = {}
    for scope in ("read", "serve", "feedback", "admin"):
        made = cli("token", "create", scope, "--scope", scope, "--file", str(file))
        assert made.returncode == 0, made.stderr
        tokens[scope] = made.stdout.split()[-1]
    server = serve(run, "--tokens", str(file))

    def status(method: str, path: str, token: str | None, body: Any = None) -> int:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return server.http.request(method, path, headers=headers, json=body).status_code

    assert status("POST", "/v1/models/policy:predict", None, instance()) == 401
    assert status("POST", "/v1/models/policy:predict", "wrong", instance()) == 401
    assert status("POST", "/v1/models/policy:predict", tokens["read"], instance()) == 403
    assert status("POST", "/v1/models/policy:predict", tokens["serve"], instance()) == 200
    assert status("GET", "/campaigns", tokens["read"]) == 200
    assert status("POST", "/campaigns/c0/pause", tokens["serve"], {"reason": "x"}) == 403
    assert status("POST", "/campaigns/c0/pause", tokens["admin"], {"reason": "x"}) == 200
    assert status("GET", "/healthz", None) == 200

    async def grpc(token: str | None) -> Any:
        from kserve import InferenceGRPCClient, InferInput, InferRequest

        client = InferenceGRPCClient(f"127.0.0.1:{server.grpc_port}", retries=0)
        asked = InferRequest("policy", [InferInput("campaign_id", [1], "BYTES", [b"c0"])])
        headers = [] if token is None else [("authorization", f"Bearer {token}")]
        return await client.infer(asked, headers=headers)

    import grpc as grpc_errors

    with pytest.raises(grpc_errors.aio.AioRpcError) as error:
        asyncio.run(grpc(None))
    assert error.value.code() is grpc_errors.StatusCode.UNAUTHENTICATED
    assert asyncio.run(grpc(tokens["serve"])).get_output_by_name("share").as_numpy().sum() == pytest.approx(1, abs=1e-5)
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    calls = [(line["status"], line["who"]) for line in lines if line.get("method") == "gRPC"]
    assert calls == [("UNAUTHENTICATED", None), ("OK", "serve")]


@pytest.mark.slow
def test_a_router_of_its_own_calls_predictors_of_their_own(run: Run, serve: Serve) -> None:
    # A kill switch at the router reaches the predictors through the database that they share.
    shared = ("--grpc-port", "0", "--set", f"serving.database=sqlite:///{run.out / 'shared.db'}")
    predictors = [
        serve(run, "--role", role, "--folder", str(run.out / role), *shared) for role in ("policy", "control")
    ]
    urls = ["--policy-url", predictors[0].url, "--control-url", predictors[1].url]
    router = serve(run, "--role", "router", *shared, *urls)
    users = [f"user {n}" for n in range(40)]
    bodies = {"instances": [{"campaign_id": "c0", "user_id": user, "budget": 500.0} for user in users]}
    told = router.http.post("/v1/models/router:predict", json=bodies).json()["predictions"]
    assert {one["arm"] for one in told} == {"policy", "control"}
    assert all(one["budget"] == 500.0 for one in told)
    assert router.http.post("/v1/models/policy:predict", json=instance()).status_code == 404
    killed = cli("override", "set", "c0", "--reason", "stop", "--server", router.url)
    assert killed.returncode == 0, killed.stderr
    deadline = time.monotonic() + SECONDS
    while not all(one["override"] for one in told):
        assert time.monotonic() < deadline, "a kill switch at the router reaches the predictors"
        time.sleep(0.1)
        told = router.http.post("/v1/models/router:predict", json=bodies).json()["predictions"]
    assert {one["override"]["kind"] for one in told} == {"static"}
    predictors[0].end(signal.SIGKILL)
    reply = router.http.post("/v1/models/router:predict", json=bodies)
    assert reply.status_code == 503
    assert "predictor policy at" in reply.json()["error"]


def test_a_port_that_is_taken_is_one_line(run: Run) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = cli("serve", str(run.out), "--port", str(port), "--grpc-port", str(free_port()))
    assert refused.returncode == 2
    assert f"--port {port}: it cannot be bound on 127.0.0.1" in refused.stderr.splitlines()[-1]


def test_what_a_server_cannot_run_with_is_one_line(run: Run, tmp_path: Any) -> None:
    for arguments, sentence in (
        ((str(tmp_path),), "holds no finished run"),
        ((str(run.out), "--set", "train.episodes=3"), "a server takes serving.*"),
        (
            (str(run.out), "--set", "serving.weight=0.70001"),
            "serving.weight: 0.70001 is no whole number of 10,000 buckets",
        ),
        ((str(run.out), "--role", "all-of-it"), "--role: 'all-of-it'"),
        ((str(run.out), "--role", "router"), "--policy-url"),
        ((str(run.out), "--root-path", "crossmix"), "--root-path crossmix: no path"),
        ((str(run.out), "--role", "policy"), "serving.database"),
        ((str(run.out), "--policy-url", "http://x"), "name both predictors"),
        ((str(run.out), "--tokens", str(tmp_path / "none.json")), "none.json"),
    ):
        refused = cli("serve", *arguments)
        assert refused.returncode == 2, (arguments, refused.stderr)
        assert sentence in refused.stderr.splitlines()[-1], (arguments, refused.stderr)
        assert "Traceback" not in refused.stderr


def test_what_a_running_experiment_began_with_is_not_changed_by_a_start(run: Run) -> None:
    from crossmix.registry.store import Registry
    from serving.assignment.arms import ExperimentError
    from serving.live.champion import Champion
    from serving.live.live import Live

    def start(*changes: str) -> Live:
        from crossmix.config import documented, load

        config = load("laptop", changes, dict(documented(run.config)))
        own = run.out / "serving"
        champion = Champion(own, lambda: Registry.of(config, run.out), run.out / "bundle")
        named = [change.partition("=")[0].removeprefix("serving.") for change in changes]
        live = Live(config, own, f"sqlite:///{own / 'serving.db'}", champion, run.features, named=named)
        live.reload()
        return live

    start().stop()
    for change, sentence in (
        ("serving.salt=other", r"^serving.salt: another than the experiment 'first' began with, .* --salt-file"),
        ("serving.weight=0.5", r"^serving.weight: 0.5, not 0.7 as the experiment 'first' began with, .* with --weight"),
        ("serving.days=7", r"^serving.days: 7, not 14 as .*: leave it out; `crossmix experiment extend first --days"),
        ("serving.level=0.1", r"^serving.level: 0.1, not 0.05 as .*: leave it out; `crossmix experiment begin` with"),
        ("serving.experiment=second", r"^serving.experiment: 'second', not 'first' .* experiment begin second`"),
    ):
        with pytest.raises(ExperimentError, match=sentence) as error:
            start(change)
        assert "'crossmix'" not in str(error.value), "the salt"
    same = start("serving.salt=crossmix", "serving.weight=0.7", "serving.days=14", "serving.experiment=first")
    assert same.experiment.id == "first"
    same.stop()
