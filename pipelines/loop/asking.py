"""The simulation's side of the server: the clock that it moves, what it asks, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from crossmix import files

SECONDS = 120.0
"""An answer is waited for, on a machine that may be busy."""
AT_ONCE = 5_000
"""Events of a request."""


class ServerError(ValueError):
    """What the server refuses or did not do; the message has its own sentence."""


class Server:
    """A running server on a clock's file.

    Args:
        url: its address.
        clock: the file.
    """

    def __init__(self, url: str, clock: Path) -> None:
        self.url, self.clock = url, clock
        self._http = httpx.Client(base_url=url, timeout=SECONDS)

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The server's answer; raises `ServerError`."""
        try:
            reply = self._http.request(method, path, json=body, params=query or None)
        except httpx.HTTPError as error:
            raise ServerError(f"{method} {path}: no answer ({error or type(error).__name__})") from error
        if not reply.is_success:
            raise ServerError(f"{method} {path}: status {reply.status_code}, {reply.text[:300]}")
        return reply.json()

    def at(self, moment: datetime) -> dict[str, Any]:
        """It is `moment`, and all that is due then is done; what serves. Raises `ServerError` for a part's trouble."""
        files.write(self.clock, moment.isoformat())
        return self.tick()

    def tick(self) -> dict[str, Any]:
        """All that is due is done now; what serves. Raises `ServerError`."""
        done = self.ask("POST", "/serving/tick")
        troubles = [f"{part['name']}: {part['trouble']}" for part in done["parts"] if part["trouble"]]
        if troubles:
            raise ServerError(f"POST /serving/tick: {'; '.join(troubles)}")
        serving: dict[str, Any] = done["serving"]
        return serving

    def answers(self, arm: str, campaigns: Sequence[str]) -> list[dict[str, Any]]:
        """An arm's answer for each campaign's cycle."""
        body = {"instances": [{"campaign_id": name} for name in campaigns]}
        reply: dict[str, list[dict[str, Any]]] = self.ask("POST", f"/v1/models/{arm}:predict", body)
        return reply["predictions"]

    def tell(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Feedback; raises `ServerError` unless every event counts."""
        for start in range(0, len(events), AT_ONCE):
            some = events[start : start + AT_ONCE]
            receipt = self.ask("POST", "/feedback", list(some))
            if receipt["accepted"] != len(some):
                raise ServerError(f"POST /feedback: {receipt['accepted']} of {len(some)} events count")

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()
