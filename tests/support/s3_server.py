"""A small S3 on 127.0.0.1: buckets and objects are listed by pages, told of and read by ranges, to who has the key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY = "reader"
PAGE = 3
"""Objects of one page of a list."""


@dataclass
class Store:
    """What is in it, and what was asked of it."""

    url: str = ""
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path."""
    sent: int = 0
    """Bytes of objects."""

    def environment(self, key: str | None = KEY) -> dict[str, str]:
        """What a client needs to read it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        } | ({} if key is None else {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "secret"})


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _listed(name: str, objects: dict[str, bytes], query: dict[str, str]) -> str:
    prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
    keys = sorted(key for key in objects if key.startswith(prefix) and key > after)
    page = keys[:PAGE]
    rest = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(keys) > PAGE else ""
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>{escape(etag(objects[key]))}</ETag><Size>{len(objects[key])}</Size></Contents>"
        for key in page
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>{name}</Name><Prefix>{escape(prefix)}</Prefix>'
        f"<KeyCount>{len(page)}</KeyCount><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{str(bool(rest)).lower()}</IsTruncated>"
        f"{rest}{contents}</ListBucketResult>"
    )


@contextmanager
def serving() -> Iterator[Store]:
    """The store, while it answers."""
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            bucket, _, key = unquote(url.path).strip("/").partition("/")
            store.asked.append((self.command, unquote(url.path)))
            objects = store.buckets.get(bucket)
            if f"Credential={KEY}/" not in self.headers.get("authorization", ""):
                self.refuse(403, "AccessDenied")
            elif objects is None:
                self.refuse(404, "NoSuchBucket")
            elif not key:
                self.send(200, _listed(bucket, objects, query).encode(), {"content-type": "application/xml"})
            elif key not in objects:
                self.refuse(404, "NoSuchKey")
            else:
                self.object(objects[key])

        def object(self, content: bytes) -> None:
            headers = {
                "etag": etag(content),
                "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
                "accept-ranges": "bytes",
            }
            wanted = self.headers.get("range")
            if wanted is None or self.command == "HEAD":
                self.send(200, content, headers)
                return
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = content[int(first) : int(last) + 1 if last else None]
            headers["content-range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
            self.send(206, part, headers)

        def refuse(self, status: int, code: str) -> None:
            body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
            self.send(status, body.encode(), {"content-type": "application/xml"})

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                store.sent += len(body)
                self.wfile.write(body)

        do_GET = do_HEAD = answer

        def log_message(self, *_: Any) -> None:
            """Nothing: what was asked is for the test to keep."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
