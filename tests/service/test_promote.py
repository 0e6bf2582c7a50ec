"""`crossmix promote` and `crossmix rollback`: the server is asked before anything moves, what has changed is told, and
the same command again ends in the same state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from crossmix.registry.store import Registry
from crossmix.state import ALLOCATION
from pipelines.cli import champion
from pipelines.cli.main import app
from serving.app import Settings, application
from serving.http import access
from serving.live.live import Live
from tests.support.serving_run import Run, save_bundle

SERVER = "http://there:1"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(champion, "CONFIRM_SECONDS", 0.0)


class Network:
    """Requests of the command go to the application; `fails` may refuse the one that is the n-th."""

    def __init__(self, served: Any) -> None:
        self.client = TestClient(served, base_url="http://127.0.0.1")
        self.fails: Callable[[int], httpx.Response | None] = lambda number: None
        self.asked = 0

    def __call__(self, method: str, url: str, *, headers: dict[str, str], timeout: float, **options: Any) -> Any:
        self.asked += 1
        answer = self.fails(self.asked)
        return answer or self.client.request(method, url.removeprefix(SERVER), headers=headers, **options)


@pytest.fixture
def network(live: Live, monkeypatch: pytest.MonkeyPatch) -> Network:
    live.follow_champion()
    network = Network(application(live, Settings()))
    monkeypatch.setattr(httpx, "request", network)
    return network


def away(number: int) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--server", SERVER])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def aliases(run: Run) -> tuple[int, int | None]:
    registry: Registry = run.registry
    return registry.get("champion").number, registry._alias("previous")


def test_both_tell_what_changed_and_are_safe_to_repeat(run: Run, network: Network, live: Live) -> None:
    out = str(run.out)
    for _ in range(2):
        status, printed = command("promote", out, "2", "--reason", "better")
        assert status == 0, printed
        assert f"{SERVER} answers with version 2, bundle {run.digests[1][:12]}" in printed
        assert aliases(run) == (2, 1)
    for _ in range(3):
        status, printed = command("rollback", out, "--reason", "worse")
        assert status == 0, printed
        assert f"{SERVER} answers with version 1, bundle {run.digests[0][:12]}" in printed
        assert aliases(run) == (1, 2)
        assert live.version == 1
    assert "version 1 was champion already (version 2 was rolled back already, at" in printed
    assert command("rollback", out, "--of", "2")[0] == 0
    assert aliases(run) == (1, 2)
    status, printed = command("rollback", out, "--of", "1")
    assert status == 2
    assert "the champion before is version 2, which was rolled back at" in printed
    assert aliases(run) == (1, 2)
    assert command("promote", out, "2", "--reason", "mended after all")[0] == 0
    assert command("rollback", out, "--of", "2")[0] == 0, "what was promoted again may be rolled back again"
    assert aliases(run) == (1, 2)


@pytest.mark.parametrize("arguments", [("promote", "2", "--reason", "x"), ("rollback",)])
def test_a_server_that_is_away_moves_nothing(run: Run, network: Network, arguments: tuple[str, ...]) -> None:
    if arguments[0] == "rollback":
        run.registry.promote(2, actor="ann", reason="better")
    before = aliases(run)
    network.fails = away
    status, printed = command(arguments[0], str(run.out), *arguments[1:])
    assert (status, aliases(run)) == (2, before)
    assert (
        f"--server {SERVER}: connection refused; start one with crossmix serve, or name another; nothing has "
        in printed
    )


def test_a_token_without_the_scope_moves_nothing(run: Run, live: Live, network: Network, tmp_path: Path) -> None:
    live.follow_champion()
    file = tmp_path / "tokens.json"
    secrets = {scope: access.create(file, scope, [scope]) for scope in ("serve", "admin")}
    network.client = TestClient(application(live, Settings(tokens=file)), base_url="http://127.0.0.1")
    for token, sentence in (
        ("wrong", "not a valid token of this server; send the header Authorization: Bearer TOKEN; pass --token or set"),
        (secrets["serve"], "this token lacks scope admin"),
    ):
        status, printed = command("promote", str(run.out), "2", "--reason", "x", "--token", token)
        assert (status, aliases(run)) == (2, (1, None))
        assert sentence in printed
        assert printed.endswith("nothing has changed")
    assert command("promote", str(run.out), "2", "--reason", "x", "--token", secrets["admin"])[0] == 0
    assert aliases(run) == (2, 1)


def test_a_bundle_that_the_server_cannot_take_moves_nothing(run: Run, network: Network, tmp_path: Path) -> None:
    out = str(run.out)
    other = save_bundle(tmp_path / "other", run.config, 3, ("a", "b", "c"))
    assert run.registry.register(other.path, wins=False).number == 3
    status, printed = command("promote", out, "3", "--reason", "x")
    assert (status, aliases(run)) == (2, (1, None))
    assert "version 3: it was made for a, b, c, and --server" in printed
    turned = replace(ALLOCATION, platform_fields=ALLOCATION.platform_fields[::-1])
    run.registry.register(save_bundle(tmp_path / "turned", run.config, 4, layout=turned).path, wins=False)
    status, printed = command("promote", out, "4", "--reason", "x")
    assert (status, aliases(run)) == (2, (1, None))
    assert "version 4: its state has layout allocation version 1, another than what --server" in printed
    run.registry._client.set_model_version_tag("crossmix-policy", "2", "bundle_digest", "f" * 64)
    status, printed = command("promote", out, "2", "--reason", "x")
    assert (status, aliases(run)) == (2, (1, None))
    assert "version 2: its bundle cannot be used" in printed
    assert "nothing has changed" in printed


def test_a_server_of_another_registry_moves_nothing(run: Run, network: Network, live: Live, template: Run) -> None:
    run.registry.promote(2, actor="ann", reason="better")
    live.champion._make = lambda: _Other()
    live.champion._registry = None
    status, printed = command("rollback", str(run.out))
    assert (status, aliases(run)) == (2, (2, 1))
    assert (
        f"--server {SERVER}: it cannot reach the registry (registry: another machine's); nothing has changed" in printed
    )
    live.champion._make = None
    live.champion.trouble = None
    status, printed = command("rollback", str(run.out))
    assert (status, aliases(run)) == (2, (2, 1))
    assert (
        "which is not this registry's champion: it follows another registry; nothing has changed: name the" in printed
    )


class _Other:
    def get(self, version: str) -> Any:
        raise RuntimeError("another machine's")


def test_a_server_that_goes_away_after_the_move_is_told_and_a_repeat_ends_the_same(run: Run, network: Network) -> None:
    run.registry.promote(2, actor="ann", reason="better")
    network.fails = lambda number: None if number == 1 else away(number)
    status, printed = command("rollback", str(run.out))
    assert (status, aliases(run)) == (2, (1, 2))
    assert "error: champion is version 1 now (was 2), but the server does not confirm it (--server" in printed
    assert "it follows by itself once it can: the same command again changes nothing more and asks anew" in printed
    network.fails = away
    status, printed = command("rollback", str(run.out))
    assert (status, aliases(run)) == (2, (1, 2)), "the bad version does not come back"
    assert printed.startswith("error: version 1 is champion already; --server")
    network.fails = lambda number: None
    status, printed = command("rollback", str(run.out))
    assert (status, aliases(run)) == (0, (1, 2))
    assert "answers with version 1" in printed


def test_a_server_that_refuses_after_the_move_is_told_with_the_way_back(
    run: Run, network: Network, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.champion, "_follow", lambda *_: live.champion._ill("bundle: version 2 is refused, so"))
    status, printed = command("promote", str(run.out), "2", "--reason", "x")
    assert (status, aliases(run)) == (2, (2, 1))
    assert (
        "error: champion is version 2 now (was 1), but --server http://there:1 serves version 1 on (bundle: version 2"
        in printed
    )
    assert printed.endswith("crossmix promote OUT 1 --reason ... puts it back")
    status, printed = command("rollback", str(run.out), "--of", "2")
    assert (status, aliases(run)) == (0, (1, 2)), "a version that the server refuses can be taken out"
    assert "champion is version 1 now (was 2)" in printed


def test_a_champion_that_somebody_moved_meanwhile_stays(
    run: Run, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.registry.register(save_bundle(tmp_path / "third", run.config, 3).path, wins=False).number == 3
    checked = champion._check_server

    def meanwhile(registry: Any, *args: Any) -> None:
        checked(registry, *args)
        registry.promote(2, actor="bob", reason="mine")

    monkeypatch.setattr(champion, "_check_server", meanwhile)
    status, printed = command("promote", str(run.out), "3", "--reason", "x")
    assert (status, aliases(run)) == (2, (2, 1))
    assert "version 2 is champion by now, not 1; nothing has changed: look again" in printed


def test_a_rollback_takes_no_version_out_that_somebody_put_in_meanwhile(
    run: Run, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.registry.register(save_bundle(tmp_path / "third", run.config, 3).path, wins=False).number == 3
    assert command("promote", str(run.out), "2", "--reason", "x")[0] == 0
    checked = champion._check_server

    def meanwhile(registry: Any, *args: Any) -> None:
        checked(registry, *args)
        registry.promote(3, actor="bob", reason="mine")

    monkeypatch.setattr(champion, "_check_server", meanwhile)
    status, printed = command("rollback", str(run.out), "--reason", "x")
    assert (status, aliases(run)) == (2, (3, 2))
    assert "version 3 is champion by now, not 2; nothing has changed: look again" in printed


class Cut:
    """MLflow's client, whose n-th change fails as if the process had died there."""

    def __init__(self, client: Any, after: int) -> None:
        self.client, self.left = client, after

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("set_", "delete_")):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return getattr(self.client, name)


def test_a_change_that_is_cut_off_anywhere_ends_the_same_when_repeated(run: Run) -> None:
    moves: dict[tuple[int, int], Callable[[Registry], Any]] = {
        (2, 1): lambda registry: registry.promote(2, actor="ann", reason="better"),
        (1, 2): lambda registry: registry.rollback(actor="ann"),
    }
    for step, end in enumerate([*moves] * 6):
        registry = run.registry
        registry.__dict__["_client"] = Cut(registry._client, step // 2)
        try:
            moves[end](registry)
        except KeyboardInterrupt:
            moves[end](run.registry)
        assert aliases(run) == end, f"after {step // 2} changes"
