"""A headless Chromium, driven over its DevTools protocol: what a page shows, at which width, with which complaints."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Where a Chromium is, if there is one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


needed = pytest.mark.skipif(
    program() is None,
    reason=f"chromium is not installed: none of {', '.join(PROGRAMS)} is on the path; apt-get install chromium",
)
"""For each test that opens a browser: without one it is skipped, and pytest's summary says why."""


@dataclass
class Page:
    """One loaded page."""

    socket: ClientConnection
    complaints: list[str] = field(default_factory=list)
    """Console errors, refused or failed requests, exceptions."""
    requests: list[str] = field(default_factory=list)
    """Addresses that the page asked for."""
    _number: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; events that come meanwhile are noted."""
        message = self._answer(method, **parameters)
        assert "error" not in message, message
        return dict(message["result"])

    def _answer(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=300))
            if message.get("id") == self._number:
                return dict(message)
            self._note(message)

    def open(self, url: str, width: int, headers: dict[str, str] | None = None) -> None:
        """Load `url` in a window `width` px wide, and wait until it is there."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Network.setExtraHTTPHeaders", headers=headers or {})
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.complaints.clear()
        self.requests.clear()
        self.call("Page.navigate", url=url)
        self.until("location.href !== 'about:blank'", url)
        time.sleep(0.3)  # a favicon, a late complaint
        self.value("1")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def dark(self, whether: bool) -> None:
        """As a reader sees it who asks for dark pages, or for light ones."""
        scheme = "dark" if whether else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, selector: str) -> None:
        """Click what a selector finds, and wait for the page that it leads to."""
        before = self.value("performance.timeOrigin")
        self.value(f"document.querySelector({json.dumps(selector)}).click()")
        self.until(f"performance.timeOrigin !== {before!r}", selector)

    def write(self, name: str, text: str) -> None:
        """Type into the field of a form."""
        field = f"document.querySelector({json.dumps(f'[name={json.dumps(name)}]')})"
        self.value(f"{field}.value = {json.dumps(text)}")

    def accessibility(self) -> list[str]:
        """What axe-core finds serious or critical on the page: rule, elements."""
        import axe_core_python

        script = Path(axe_core_python.__file__).with_name("axe.min.js").read_text()
        # As the browser's own, not as the page's: its policy lets no script run.
        self.call("Runtime.evaluate", expression=script)
        asked = "axe.run(document, {resultTypes: ['violations']}).then(result => JSON.stringify(result.violations))"
        answer = self.call("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return [
            f"{rule['id']}: {[node['html'][:120] for node in rule['nodes'][:5]]}"
            for rule in json.loads(answer["result"]["value"])
            if rule["impact"] in ("serious", "critical")
        ]

    def screenshot(self, file: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def until(self, condition: str, what: str) -> None:
        """Wait until a page is loaded of which the condition holds."""
        deadline = time.monotonic() + 300
        while True:
            wanted = f"document.readyState === 'complete' && {condition}"
            answer = self._answer("Runtime.evaluate", expression=wanted, returnByValue=True)
            # Between two pages there is nothing to ask: that is an error, or no value.
            if answer.get("result", {}).get("result", {}).get("value") is True:
                return
            assert time.monotonic() < deadline, f"{what} did not load"
            time.sleep(0.05)

    def _note(self, message: dict[str, Any]) -> None:
        method, told = message.get("method"), message.get("params", {})
        if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.exceptionThrown" or (
            method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert")
        ):
            self.complaints.append(json.dumps(told)[:400])
        elif method == "Network.loadingFailed":
            self.complaints.append(told["errorText"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with one empty page; ends with the block."""
    command = [
        str(program()),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder / 'profile'}",
        "about:blank",
    ]
    log = (folder / "chromium.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        port = _port(folder / "profile" / "DevToolsActivePort", process, folder / "chromium.log")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=300) as reply:
            target = next(one for one in json.load(reply) if one["type"] == "page")
        with connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def _port(file: Path, process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")[-2_000:]
        if file.is_file() and len(lines := file.read_text().splitlines()) > 1:  # port and path: the port is whole
            return int(lines[0])
        time.sleep(0.05)
    raise AssertionError(f"no debugging port in 300 s: {log.read_text(errors='replace')[-2_000:]}")
