"""The webhook as a process: killed between acceptance and start, it starts the run once all the same."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from crossmix.clock import MemoryClock
from crossmix.config import ConfigError
from crossmix.ledger import alerts as ledger
from crossmix.ledger import runs, tables
from crossmix.ledger.store import Store, StoreAwayError
from monitoring import signed
from monitoring.alerts import MEDIA, body_of
from monitoring.server import Opening, run, troubles
from tests.support.launchers import FileLauncher
from tests.support.webhook_process import until, webhook
from tests.support.webhooks import MARKET, SECRET, alert, event

pytestmark = pytest.mark.slow


def settings(folder: Path) -> list[str]:
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)
    (folder / "clock").write_text("2026-01-05T00:00:00Z")
    return [
        f"alerts.webhook.secret_file={folder / 'secret'}",
        f"serving.clock={folder / 'clock'}",
        "alerts.webhook.lease=0.2",
        "alerts.webhook.every=0.1",
    ]


def post(url: str, **more: object) -> httpx.Response:
    body = body_of(event(**more))
    headers = signed.sign([signed.key_of(SECRET)], "message-1", int(time.time()), body)
    return httpx.post(f"{url}/alerts", content=body, headers={"content-type": MEDIA, **headers}, timeout=60)


def test_killed_between_acceptance_and_start_it_starts_once(on_either: str, tmp_path: Path) -> None:
    """Twice: as the start is under way, its answer not yet noted; and before it was tried at all."""
    launcher, more = FileLauncher(tmp_path / "runs"), settings(tmp_path)
    store, run_id = Store(on_either, MemoryClock(MARKET)), ledger.run_of(alert().alert_id)
    (launcher.folder / "hang").touch()
    with webhook(on_either, launcher.folder, *more) as (process, url):
        assert post(url).status_code == 202
        until(lambda: launcher.begun() == [run_id])
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    assert [one.state for one in runs.newest(store)] == ["claimed"]
    # What a process had accepted that was killed before its launcher heard of it.
    row = {"run_id": "run-late", "campaign_id": "summer", "alert_id": "b", "spec": {}, "state": "claimed"}
    with store.write() as connection:
        connection.execute(tables.runs.insert(), row | {"claimed": MARKET, "opened": MARKET})
    (launcher.folder / "hang").unlink()
    with webhook(on_either, launcher.folder, *more) as (process, url):
        until(lambda: {one.state for one in runs.newest(store)} == {"started"})
        assert post(url).json()["outcome"] == "duplicate"
        assert {one["state"] for one in httpx.get(f"{url}/runs", timeout=60).json()["runs"]} == {"started"}
        assert httpx.get(f"{url}/healthz", timeout=60).json() == {"status": "alive", "degraded": []}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert launcher.begun() == sorted([run_id, "run-late"])
    assert sorted(launcher.calls()) == sorted([run_id, run_id, "run-late"])
    store.close()


def test_what_is_no_http_is_no_fault_over_a_real_socket(database: str, tmp_path: Path) -> None:
    launcher = FileLauncher(tmp_path / "runs")
    with webhook(database, launcher.folder, *settings(tmp_path)) as (_, url):
        port = int(url.rpartition(":")[2])
        for raw in (
            b"POST /alerts HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
            b"POST /alerts HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            b"POST /alerts HTTP/1.1\r\nhost: x\r\nwebhook-id: \x00\r\ncontent-length: 0\r\n\r\n",
            b"POST /alerts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"\xff\xfe\x00\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(raw)
                status = connection.recv(100).split(b" ")[1]
            assert status.startswith(b"4"), (raw, status)
        assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200
        assert httpx.get(f"{url}/runs", timeout=60).json() == {"runs": []}


def test_a_database_that_is_away_at_the_start_is_opened_once_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    opening = Opening(f"sqlite:///{tmp_path / 'ledger.db'}", MemoryClock(MARKET))
    with pytest.raises(StoreAwayError):
        opening()
    assert opening.trouble is None
    (tmp_path / "ledger.db").rmdir()
    assert opening() is opening()
    opening.close()


def test_an_address_that_is_taken_is_an_error_of_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port}: it cannot be bound on 127.0.0.1"):
            run(None, "127.0.0.1", port, [], print)


def test_only_what_is_in_trouble_is_told() -> None:
    told = troubles([("database", None), ("launcher", "none is configured")])
    assert told == [{"what": "launcher", "why": "none is configured"}]
