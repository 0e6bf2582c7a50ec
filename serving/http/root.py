"""A server under a path of its own, as /crossmix behind a proxy, whether that keeps the prefix or strips it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crossmix.config import ConfigError

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def check(root: str) -> str:
    """The prefix as it is used, without a slash behind it; raises `ConfigError`."""
    prefix = root.rstrip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"--root-path {root}: no path; give one as /crossmix, of letters, digits, dots, dashes and _")
    return prefix


def routed(scope: Mapping[str, Any]) -> str:
    """The path of a request below the server's own."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


class Rooted:
    """ASGI middleware, around all others: a request's path begins with the prefix from here on.

    Args:
        root: the prefix, as `check` gives it.
    """

    def __init__(self, app: Any, root: str) -> None:
        self.app, self.root = app, root

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path, root = scope["path"], self.root
        if path == root:  # relative links of the page would lead out of it
            query = scope.get("query_string") or b""
            location = root.encode() + b"/" + (b"?" + query if query else b"")
            headers = [(b"location", location), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 307, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        if not path.startswith(root + "/"):
            path = root + path
        await self.app({**scope, "path": path, "root_path": root}, receive, send)
