"""Compressed bodies: what comes out is what was put in, bounded while it is decoded, or one sentence."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest

from serving.http.encoding import MOST_MEMBERS, Decoder, EncodingError, TooLargeError, coding

TEXT = b'{"instances": [{"campaign_id": "spring"}]}' * 50


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


def pieces(data: bytes, size: int) -> Iterator[tuple[bytes, bool]]:
    for start in range(0, len(data), size):
        yield data[start : start + size], start + size >= len(data)


def decode(coding_: str, data: bytes, size: int = 1 << 16, largest: int = 10_000) -> bytes:
    decoder = Decoder(coding_, largest)
    return b"".join(decoder.feed(*piece) for piece in pieces(data, size))


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 16])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
    ids=["gzip", "two members", "deflate", "raw deflate"],
)
def test_what_was_put_in_comes_out_however_it_is_cut(name: str, data: bytes, size: int) -> None:
    assert decode(name, data, size) == TEXT


def test_a_bomb_is_refused_after_a_byte_more_than_the_bound() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    decoder = Decoder("gzip", 100_000)
    with pytest.raises(TooLargeError):
        decoder.feed(bomb, True)
    assert decoder._made == 100_001
    assert decode("gzip", gzip.compress(b"0" * 10_000)) == b"0" * 10_000
    with pytest.raises(TooLargeError):
        decode("gzip", gzip.compress(b"0" * 10_001))


def test_what_gives_nothing_is_bounded_too() -> None:
    """Empty blocks and empty members could go on for ever without a byte of body."""
    made = zlib.compressobj()
    empty = made.compress(b"") + b"".join(made.flush(zlib.Z_FULL_FLUSH) for _ in range(3_000))
    with pytest.raises(TooLargeError):
        decode("deflate", empty + b"\x00\x00\x00\xff\xff" * 3_000)
    with pytest.raises(EncodingError, match="more comes after"):
        decode("gzip", gzip.compress(b"") * (MOST_MEMBERS + 1), largest=1_000_000)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("gzip", b"plain text", "body: not gzip"),
        ("gzip", zlib.compress(TEXT), "body: not gzip"),
        ("gzip", gzip.compress(TEXT)[:-9], "ends early"),
        ("gzip", gzip.compress(TEXT)[:-4] + b"\x00\x00\x00\x00", "body: not gzip"),
        ("gzip", gzip.compress(TEXT) + b"more", "body: not gzip"),
        ("deflate", zlib.compress(TEXT)[:-1], "ends early"),
        ("deflate", zlib.compress(TEXT) + b"more", "more comes after its deflate"),
        ("deflate", b"\xff\xff", "body: not deflate"),
        ("deflate", b"x", "ends early"),
    ],
    ids=[
        "plain as gzip",
        "zlib as gzip",
        "gzip cut",
        "gzip checksum",
        "gzip and more",
        "deflate cut",
        "deflate and more",
        "no deflate",
        "a letter",
    ],
)
def test_what_is_not_of_its_coding_is_one_sentence(name: str, data: bytes, sentence: str) -> None:
    with pytest.raises(EncodingError, match=sentence):
        decode(name, data)


def test_codings() -> None:
    assert [coding(name) for name in ("", "identity", " GZIP ", "x-gzip", "deflate")] == [
        None,
        None,
        "gzip",
        "x-gzip",
        "deflate",
    ]
    for other in ("br", "zstd", "gzip, gzip", "compress"):
        with pytest.raises(EncodingError, match=r"is not taken; send gzip, deflate, or the plain body"):
            coding(other)
