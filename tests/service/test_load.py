"""Load on `crossmix serve`: no error, and memory that does not grow."""

from __future__ import annotations

import json
from collections.abc import Callable

import psutil
import pytest

from benchmarks._load import load, request
from tests.support.served_process import Server
from tests.support.serving_run import CAMPAIGNS, Run, instance


def messages(server: Server, users: int) -> list[bytes]:
    """Router requests of many users, some with limits or a budget of their own."""
    bodies = [
        instance(
            CAMPAIGNS[n % len(CAMPAIGNS)],
            user_id=f"user {n}",
            **({"budget": 100.0 + n % 7} if n % 5 == 0 else {}),
            **({"limits": {"platform1": {"max": 0.1 + 0.01 * (n % 3)}}} if n % 7 == 0 else {}),
        )
        for n in range(users)
    ]
    return [request(server.port, "/v1/models/router:predict", json.dumps(body).encode()) for body in bodies]


@pytest.mark.slow
def test_no_error_at_concurrency_32(run: Run, serve: Callable[..., Server]) -> None:
    server = serve(run, "--grpc-port", "0")
    done = load(server.process.pid, server.port, messages(server, 300), 1_500, 32)
    assert done.errors == 0
    told = server.http.get("/metrics").text
    assert 'crossmix_request_seconds_count{route="/v1/models/{model_name}:predict",status="200"} 1500.0' in told
    assert server.end() == 0


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_twenty_thousand_requests_without_an_error_and_flat_memory(run: Run, serve: Callable[..., Server]) -> None:
    """20,000 at concurrency 32; then 100,000 in all, over which the process grows by less than 5 %."""
    server = serve(run, "--grpc-port", "0")
    asked = messages(server, 5_000)
    assert load(server.process.pid, server.port, asked, 20_000, 32).errors == 0
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    assert load(server.process.pid, server.port, asked, 80_000, 32).errors == 0
    after = process.memory_info().rss
    print(f"resident memory {before / 2**20:.0f} MiB, {after / 2**20:.0f} MiB after 80,000 requests more")
    assert after < 1.05 * before
