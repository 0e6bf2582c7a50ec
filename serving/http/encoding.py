"""Request bodies that come compressed: gzip and deflate (RFC 9110, 8.4.1), decoded as they come, never past a bound.

What would come out of a body is not known before: the decoder makes at most a byte more than the bound, and says so.
"""

from __future__ import annotations

import zlib
from typing import Any

GZIP = 16 + zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS
CODINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": zlib.MAX_WBITS}
TAKEN = "gzip, deflate"
"""What a sender may use, as the header Accept-Encoding of a refusal names it."""
MOST_MEMBERS = 256
"""Of one gzip body: each costs a copy of what comes behind it."""


class EncodingError(ValueError):
    """A body that is not what its content encoding says; one sentence."""


class TooLargeError(ValueError):
    """More comes out of the body than is taken."""


def coding(header: str) -> str | None:
    """The coding to undo, by the header Content-Encoding; `None`: none was used.

    Raises:
        EncodingError: another than gzip and deflate, or several on top of each other.
    """
    named = header.strip().lower()
    if named in ("", "identity"):
        return None
    if named not in CODINGS:
        raise EncodingError(f"content-encoding: {header[:80]!r} is not taken; send gzip, deflate, or the plain body")
    return named


class Decoder:
    """Undoes a coding piece by piece.

    Args:
        coding: a key of `CODINGS`.
        largest: bytes that may come in, and that may come out.
    """

    def __init__(self, coding: str, largest: int) -> None:
        self.coding, self.largest = coding, largest
        self._inflate: Any = zlib.decompressobj(CODINGS[coding])
        self._head: bytes | None = b"" if coding == "deflate" else None
        self._taken = self._made = 0
        self._members = 1

    def feed(self, data: bytes, last: bool) -> bytes:
        """What comes out of the next piece.

        Args:
            last: no piece follows.

        Raises:
            TooLargeError: beyond the bound.
            EncodingError: not of this coding, or it ends early.
        """
        self._taken += len(data)
        if self._taken > self.largest:
            raise TooLargeError
        try:
            out = self._out(self._begun(data, last))
        except zlib.error as error:
            raise EncodingError(f"body: not {self.coding} ({error}); send what content-encoding says") from None
        if last and self._taken and not self._inflate.eof:
            raise EncodingError(f"body: its {self.coding} ends early; send all of it")
        return out

    def _begun(self, data: bytes, last: bool) -> bytes:
        """The data once the first two bytes tell zlib's deflate from the raw one, which some senders mean."""
        if self._head is None:
            return data
        data = self._head + data
        if len(data) < 2 and not last:
            self._head = data
            return b""
        self._head = None
        if len(data) >= 2 and (data[0] & 0x0F != 8 or (data[0] << 8 | data[1]) % 31):
            self._inflate = zlib.decompressobj(RAW)
        return data

    def _out(self, data: bytes) -> bytes:
        pieces = []
        while data:
            if self._inflate.eof:
                self._next_member()
            piece = self._inflate.decompress(data, self.largest - self._made + 1)
            self._made += len(piece)
            if self._made > self.largest:
                raise TooLargeError
            pieces.append(piece)
            data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        return b"".join(pieces)

    def _next_member(self) -> None:
        """A gzip body may be several, one behind the other."""
        self._members += 1
        if CODINGS[self.coding] != GZIP or self._members > MOST_MEMBERS:
            raise EncodingError(f"body: more comes after its {self.coding}; send it as one")
        self._inflate = zlib.decompressobj(GZIP)
