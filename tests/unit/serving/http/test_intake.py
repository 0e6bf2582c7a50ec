"""What a server takes: compressed bodies up to a bound, HEAD, addresses in UTF-8, a path of its own behind a proxy."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import Request
from fastapi.responses import JSONResponse

from crossmix.config import ConfigError
from serving.http.observe import Observe
from serving.http.root import Rooted, check
from tests.support.observed_app import LIMIT, application, ask, requests_in


def test_compressed_bodies_are_decoded_up_to_the_limit() -> None:
    app, text = application(), b'{"a": 1}' + b" " * (LIMIT - 8)
    for name, packed in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text)), ("identity", text)):
        headers = {"content-encoding": name, "content-type": "application/json"}
        assert ask(app, "POST", "/take", content=packed, headers=headers).json() == {"bytes": LIMIT}
        assert ask(app, "POST", "/parsed", content=packed, headers=headers).json() == 1
    bomb = ask(app, "POST", "/take", content=gzip.compress(text + b" "), headers={"content-encoding": "gzip"})
    assert (bomb.status_code, bomb.json()["error"]) == (
        413,
        "body: larger than 1000 bytes; send less at a time, or raise serving.largest_body",
    )
    torn = ask(app, "POST", "/take", content=gzip.compress(text)[:-3], headers={"content-encoding": "gzip"})
    assert (torn.status_code, torn.json()["error"]) == (400, "body: its gzip ends early; send all of it")


def test_a_bomb_is_refused_while_it_is_decoded(lines: io.StringIO) -> None:
    """Of 200 pieces, 10 MB once decoded, only the first is read; the application never has a byte."""
    packed, read = gzip.compress(b"0" * 10_000_000, 1), 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        for start in range(0, len(packed), 512):
            read += 1
            yield packed[start : start + 512]

    answer = ask(application(), "POST", "/take", content=pieces(), headers={"content-encoding": "gzip"})
    assert (answer.status_code, read) == (413, 1)
    assert [row["status"] for row in requests_in(lines)] == [413]


def test_other_codings_are_named() -> None:
    for name in ("br", "zstd", "gzip, gzip"):
        answer = ask(application(), "POST", "/take", content=b"x", headers={"content-encoding": name})
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")
        want = f"content-encoding: {name!r} is not taken; send gzip, deflate, or the plain body"
        assert answer.json() == {"error": want}


def test_rows_have_a_bound_of_their_own() -> None:
    app = Observe(echo_length, LIMIT, 3 * LIMIT)
    for path, largest in (("/feedback", 3 * LIMIT), ("/campaigns", 3 * LIMIT), ("/feedback/", LIMIT), ("/take", LIMIT)):
        assert ask(app, "POST", path, content=b"x" * largest).json() == {"bytes": largest}
        refused = ask(app, "POST", path, content=b"x" * (largest + 1))
        setting = "serving.largest_batch" if largest > LIMIT else "serving.largest_body"
        assert (refused.status_code, setting in refused.json()["error"]) == (413, True)
        packed = gzip.compress(b"x" * (largest + 1))
        assert ask(app, "POST", path, content=packed, headers={"content-encoding": "gzip"}).status_code == 413
    rooted = Rooted(app, "/crossmix")
    assert ask(rooted, "POST", "/crossmix/feedback", content=b"x" * 3 * LIMIT).status_code == 200


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    answer = JSONResponse({"bytes": len(await Request(scope, receive).body())})
    await answer(scope, receive, send)


def test_head_is_get_without_the_body(lines: io.StringIO) -> None:
    app = application()
    for path in ("/campaigns/a", "/nowhere", "/take", "/fault", "/campaigns/%ff"):
        got, head = (
            ask(app, "GET", path, headers={"x-request-id": "1"}),
            ask(app, "HEAD", path, headers={"x-request-id": "1"}),
        )
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers == got.headers
    assert [row["method"] for row in requests_in(lines)][:2] == ["GET", "HEAD"]


@pytest.mark.parametrize(
    "path", ["/campaigns/%FF", "/campaigns/a%C3", "/campaigns/a?campaign=%ff", "/campaigns/%ED%A0%80"]
)
def test_an_address_that_is_no_utf8_is_refused(path: str) -> None:
    answer = ask(application(), "GET", path)
    want = "path: not UTF-8; percent-encode the UTF-8 bytes of ids, in path and query"
    assert (answer.status_code, answer.json()) == (400, {"error": want})
    name = "caf\u00e9 \U0001f600 %"
    assert ask(application(), "GET", f"/campaigns/{quote(name)}").json() == {"campaign_id": name}


def test_an_address_that_is_not_percent_encoded_is_refused() -> None:
    """httpx would encode it: as a socket of one's own sends it."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    query = "campaign=caf\u00e9".encode()
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": query, "headers": []}
    asyncio.run(Observe(echo_length, LIMIT)(scope, None, send))
    assert sent[0]["status"] == 400


@pytest.mark.parametrize("prefix", ["/crossmix", ""], ids=["kept", "stripped"])
def test_a_server_below_a_path_of_its_own(prefix: str) -> None:
    app = Rooted(application(), "/crossmix")
    assert ask(app, "GET", f"{prefix}/campaigns/a").json() == {"campaign_id": "a"}
    assert ask(app, "GET", f"{prefix}/openapi.json").json()["servers"] == [{"url": "/crossmix"}]
    moved = ask(app, "GET", f"{prefix}/fault/?a=1")
    assert (moved.status_code, moved.headers["location"]) == (307, "/crossmix/fault?a=1")
    bare = ask(app, "GET", "/crossmix?campaign=a")
    assert (bare.status_code, bare.headers["location"]) == (307, "/crossmix/?campaign=a")
    outside = ask(app, "GET", f"{prefix}//evil.example/..%2ffault/")
    assert not outside.headers.get("location", "").startswith("//")


def test_a_root_path_is_a_path() -> None:
    assert [check(root) for root in ("", "/", "/a", "/a/b-1/")] == ["", "", "/a", "/a/b-1"]
    for bad in ("a", "//a", "/a//b", "/a b", "/a?b", "/\u00fc", "http://x/a"):
        with pytest.raises(ConfigError, match="--root-path"):
            check(bad)
