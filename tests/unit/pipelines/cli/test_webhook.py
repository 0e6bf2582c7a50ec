"""`crossmix monitor webhook|secret|outbox`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crossmix.clock import MemoryClock
from crossmix.config import Alerts, load
from crossmix.ledger import outbox
from crossmix.ledger.store import Store
from monitoring import keys, server, signed
from monitoring.outbox import raise_alert
from pipelines.cli.main import app
from pipelines.cli.webhook import launcher_of
from pipelines.launch import LocalLauncher
from tests.support.webhooks import MARKET, SECRET, WALL, alert


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["monitor", *arguments])


def test_a_new_key_is_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    done = invoke("secret", str(file))
    assert (done.exit_code, done.output) == (0, f"{file}: 1 key\n")
    assert file.stat().st_mode & 0o777 == 0o600
    (key,) = keys.signing("s", str(file), None)()
    assert len(key) == 32
    assert file.read_text().strip() not in done.output


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    invoke("secret", str(file))
    before = file.read_text()
    done = invoke("secret", str(file))
    assert done.exit_code == 2
    assert "is there already; rotate it with --add" in done.output
    assert file.read_text() == before


def test_a_rotation_by_command(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    invoke("secret", str(file))
    followed = keys.signing("s", str(file), None)
    (old,) = followed()
    assert invoke("secret", str(file), "--add").output == f"{file}: 2 keys\n"
    new, second = followed()
    assert second == old != new
    assert invoke("secret", str(file), "--drop").output == f"{file}: 1 key\n"
    assert followed() == (new,)
    assert file.stat().st_mode & 0o777 == 0o600
    assert invoke("secret", str(file), "--add", "--drop").exit_code == 2
    assert invoke("secret", str(tmp_path / "none"), "--add").exit_code == 2
    assert invoke("secret", str(tmp_path / "none" / "secret")).exit_code == 2


@pytest.fixture
def parked(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    store = Store(url, MemoryClock(MARKET))
    raise_alert(store, alert(), Alerts(targets={"ops": {}}), MemoryClock(WALL))
    letter = outbox.take(store, "ops", WALL, MARKET - MARKET)
    assert letter is not None
    outbox.park(store, letter, WALL, 404, "HTTP 404: the same will be refused again")
    store.close()
    return url


def test_the_outbox_tells_what_is_parked_and_lets_it_go_again(parked: str) -> None:
    done = invoke("outbox", "--database", parked)
    assert done.exit_code == 3
    line = f"PARKED  ops  spring  {alert().alert_id[:12]}  1 tries  HTTP 404: the same will be refused again"
    assert done.output.strip() == line
    told = json.loads(invoke("outbox", "--database", parked, "--json").output)
    assert [(one["target"], one["status"], one["attempts"]) for one in told] == [("ops", 404, 1)]
    looked = invoke("--database", parked)
    assert looked.exit_code == 3
    assert "ALARM  undelivered  spring" in looked.output
    done = invoke("outbox", "--database", parked, "--retry")
    assert (done.exit_code, done.output.split()[0]) == (0, "waits")


def test_a_round_of_delivery_by_command(parked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitoring import outbox as courier

    sent = []
    answer = courier.Answer(200)
    monkeypatch.setattr(courier, "over_http", lambda url, headers, body, seconds: sent.append(url) or answer)
    targets = 'alerts.targets={"ops": {"kind": "slack", "url": "http://127.0.0.1:9/x"}}'
    done = invoke("outbox", "--database", parked, "--retry", "--deliver", "--set", targets)
    assert (done.exit_code, done.output, sent) == (0, "every alert was acknowledged\n", ["http://127.0.0.1:9/x"])


def test_what_the_webhook_cannot_start_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSMIX_WEBHOOK_SECRET", raising=False)
    monkeypatch.delenv("CROSSMIX_WEBHOOK_TOKEN", raising=False)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    for arguments, said in (
        ((), "name the folder of a run that was served, --database URL, or CROSSMIX_DATABASE"),
        (("--database", url), "alerts.webhook.secret: there is no secret; set CROSSMIX_WEBHOOK_SECRET"),
        (("--database", url, "--set", "alerts.webhook.hours=1"), "alerts.webhook.hours: unknown config key"),
    ):
        done = invoke("webhook", *arguments)
        assert (done.exit_code, said in done.output) == (2, True), done.output
    monkeypatch.setenv("CROSSMIX_WEBHOOK_SECRET", SECRET)
    done = invoke("webhook", "--database", url, "--host", "192.0.2.1")
    assert done.exit_code == 2
    assert "--host 192.0.2.1: others can reach it, so readers need a token" in done.output


def test_without_a_launcher_runs_are_kept_and_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.webhooks import asked, event, pairs

    monkeypatch.setenv("CROSSMIX_WEBHOOK_SECRET", f"{signed.new_secret()} {SECRET}")
    served: dict[str, Any] = {}

    def run(app: Any, host: str, port: int, loops: Any, started: Any) -> None:
        import asyncio
        import time

        from monitoring.alerts import body_of

        started(1234)
        body = body_of(event())
        headers = [*pairs(body, SECRET, int(time.time())), (b"host", b"localhost")]
        for name, request in (
            ("post", ("POST", "/alerts", headers, body)),
            ("runs", ("GET", "/runs", headers, b"")),
            ("healthz", ("GET", "/healthz", headers, b"")),
        ):
            served[name] = asyncio.run(asked(app, *request, pieces=1)).content
        served["loops"] = list(loops)

    monkeypatch.setattr(server, "run", run)
    done = invoke("webhook", "--database", f"sqlite:///{tmp_path / 'new' / 'ledger.db'}")
    assert done.exit_code == 0, done.output
    greeting = "webhook at http://127.0.0.1:1234 (POST /alerts, /alertmanager; GET /runs), SIGTERM ends it"
    none = "none, for neither a run's folder nor a cluster is named: runs are kept and wait"
    assert done.output.strip() == f"{greeting}; launcher: {none}"
    assert served["post"]["outcome"] == "run"
    assert [run["state"] for run in served["runs"]["runs"]] == ["claimed"]
    assert served["healthz"]["degraded"] == [{"what": "launcher", "why": none}]
    (loop,) = served["loops"]
    assert (loop.name, loop.trouble) == ("runs", None)


def test_of_a_runs_folder_it_starts_re_adaptations_here(tmp_path: Path) -> None:
    launcher = launcher_of(load("laptop"), tmp_path)
    assert isinstance(launcher, LocalLauncher)
    assert (launcher.out, launcher.options) == (tmp_path, ())
    command = list(launcher.command("run-1", {"at": "2026-01-05T00:00:00+00:00"}))
    assert command[1:6] == ["-m", "pipelines.cli.main", "readapt", str(tmp_path), "--run"]
    elsewhere = launcher_of(load("laptop", ["serving.database=sqlite:///x.db"]), tmp_path)
    assert isinstance(elsewhere, LocalLauncher)
    assert elsewhere.options == ("--database", "sqlite:///x.db")
    assert launcher_of(load("laptop"), None) is None
