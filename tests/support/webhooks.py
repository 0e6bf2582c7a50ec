"""A webhook within the process, asked over bare ASGI, and alerts signed for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crossmix.clock import MemoryClock
from crossmix.config import Webhook
from crossmix.ledger.store import Store
from monitoring import keys, signed
from monitoring.alerts import MEDIA, Alert, body_of
from monitoring.starts import Starter
from monitoring.webhook import Intake, application
from tests.support.launchers import MemoryLauncher

SECRET = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
OTHER = "whsec_" + "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
TOKEN = "a-token-of-alertmanager"
MARKET = datetime(2026, 1, 5, tzinfo=UTC)
WALL = datetime(2027, 6, 1, 12, tzinfo=UTC)
"""The wall's time and the market's are not the same."""
Pairs = list[tuple[bytes, bytes]]


def alert(**more: Any) -> Alert:
    values = {"campaign_id": "spring", "cause": "cvr", "platform": "search", "cycle": 7, "at": MARKET} | more
    return Alert(**values)


def event(**more: Any) -> dict[str, Any]:
    return alert(**more).event("/crossmix/monitor")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


@dataclass
class Hook:
    """A webhook with clocks that a test moves, and the launcher behind it."""

    folder: Path
    url: str
    settings: Webhook = field(default_factory=Webhook)
    launcher: MemoryLauncher = field(default_factory=MemoryLauncher)
    secrets: tuple[str, ...] = (SECRET,)
    tokens: tuple[str, ...] = (TOKEN,)
    wall: MemoryClock = field(default_factory=lambda: MemoryClock(WALL))

    def __post_init__(self) -> None:
        self.market, self.seconds = MemoryClock(MARKET), 0.0
        self.store = Store(self.url, self.market)
        self.secret_file = self.folder / "secret"
        self.write(self.secret_file, self.secrets)
        token_file = None
        if self.tokens:
            self.write(self.folder / "tokens", self.tokens)
            token_file = str(self.folder / "tokens")
        self.starter = Starter(lambda: self.store, self.launcher, self.settings, "here", self.wall)
        self.intake = Intake(
            store=self.opened,
            settings=self.settings,
            keys=keys.signing("secret", str(self.secret_file), None),
            tokens=keys.bearer("bearer", token_file, None),
            opened=self.starter.round,
            now=self.wall,
            monotonic=lambda: self.seconds,
        )
        self.away: Exception | None = None
        self.meanwhile: Callable[[], None] | None = None
        self.app = application(self.intake)

    def opened(self) -> Store:
        if self.away is not None:
            raise self.away
        if self.meanwhile is not None:
            self.meanwhile()
        return self.store

    @staticmethod
    def write(file: Path, lines: Iterable[str]) -> None:
        file.write_text("\n".join(lines) + "\n")
        file.chmod(0o600)

    def post(self, content: Any, secret: str = SECRET, *, off: float = 0.0, **headers: str) -> Answer:
        """A signed alert. `off`: seconds that its time is after the wall's; `headers`: by name with _ for -."""
        body = content if isinstance(content, bytes) else body_of(content)
        at = int((self.wall() + timedelta(seconds=off)).timestamp())
        return self.ask("POST", "/alerts", pairs(body, secret, at, **headers), body)

    def flood(self, contents: Iterable[Any], secret: str = SECRET) -> list[Answer]:
        """Signed alerts, all at once."""
        bodies, at = [body_of(content) for content in contents], int(self.wall().timestamp())

        async def all_of() -> list[Answer]:
            ask = (asked(self.app, "POST", "/alerts", pairs(body, secret, at), body, 1) for body in bodies)
            return await asyncio.gather(*ask)

        return asyncio.run(all_of())

    def group(self, *alerts: dict[str, Any], token: str | None = TOKEN, **more: Any) -> Answer:
        """A request of Alertmanager's."""
        body = json.dumps(group(*alerts) | more).encode()
        headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        return self.ask("POST", "/alertmanager", headers, body)

    def get(self, path: str, token: str | None = TOKEN, host: str = "localhost:8090") -> Answer:
        headers = [(b"host", host.encode())]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        return self.ask("GET", path, headers)

    def ask(self, method: str, path: str, headers: Pairs, body: bytes = b"", pieces: int = 1) -> Answer:
        return asyncio.run(asked(self.app, method, path, headers, body, pieces))


def pairs(body: bytes, secret: str, at: int, **headers: str) -> Pairs:
    """Headers of a signed alert."""
    named = {"content-type": MEDIA, **signed.sign([signed.key_of(secret)], "message-1", at, body)}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return [(name.encode(), value.encode("latin-1")) for name, value in named.items()]


def firing(fingerprint: str = "c0ffee", starts: str = "2026-01-05T00:10:00.5Z", **labels: str) -> dict[str, Any]:
    """One alert as Alertmanager sends it."""
    return {
        "status": "firing",
        "labels": {"alertname": "NoFeedback", "campaign": "spring", "severity": "warning", **labels},
        "annotations": {"summary": "nothing came in"},
        "startsAt": starts,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": fingerprint,
    }


def group(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A group in the format of Alertmanager's documentation (webhook_config, version 4)."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="NoFeedback"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "crossmix",
        "groupLabels": {"alertname": "NoFeedback"},
        "commonLabels": {"alertname": "NoFeedback"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
    }


async def asked(app: Any, method: str, path: str, headers: Pairs, body: bytes, pieces: int) -> Answer:
    """One request over bare ASGI, which takes any bytes for a header; the body comes in so many pieces."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8090),
    }
    size = -(-len(body) // pieces)
    parts = [body[index * size : (index + 1) * size] for index in range(pieces)]
    messages = [
        {"type": "http.request", "body": part, "more_body": number + 1 < pieces} for number, part in enumerate(parts)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    named = {key.decode(): value.decode() for key, value in start["headers"]}
    return Answer(start["status"], named, b"".join(message.get("body", b"") for message in rest))
