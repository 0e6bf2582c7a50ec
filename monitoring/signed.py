"""Signatures of webhooks as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, in three headers.

    webhook-id: 0f9c...
    webhook-timestamp: 1767603600
    webhook-signature: v1,<base64> v1,<base64>

A signature per key, parted by blanks, while keys rotate: a receiver takes whichever it knows. The time is the wall's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence

PREFIX = "whsec_"
WINDOW = 300
"""Seconds that a sender's clock may be off, either way, with the message's way to here."""
SHORTEST_KEY, LONGEST_KEY, NEW_KEY = 24, 64, 32
"""Bytes of a key: the least, the most, and of one that is made here."""
MOST_SIGNATURES = 16
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class KeyFormError(ValueError):
    """A secret that is no key; the message never has the secret."""


class MalformedError(ValueError):
    """A header that is there twice or is not of its form."""


class SignatureError(ValueError):
    """Not signed, signed with another key, or too long ago or ahead."""


def key_of(secret: str) -> bytes:
    """The bytes of a key as it is handed around, `whsec_` and base64.

    Raises:
        KeyFormError: it has not that form, or not 24 to 64 bytes.
    """
    if not secret.startswith(PREFIX):
        raise KeyFormError(f"a key begins with {PREFIX}; make one with crossmix monitor secret")
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise KeyFormError(
            f"what follows {PREFIX} is not base64; copy the whole key, or make one with crossmix monitor secret"
        ) from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise KeyFormError(
            f"a key of {len(key)} bytes; it needs {SHORTEST_KEY} to {LONGEST_KEY}: crossmix monitor secret makes one"
        )
    return key


def new_secret() -> str:
    """A key that nobody has had."""
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_KEY)).decode()


def sign(keys: Iterable[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message.

    Args:
        keys: one, or two while keys rotate.
        message_id: the same for every try of one message: printable ASCII without blanks.
        timestamp: seconds since 1970, UTC.

    Raises:
        MalformedError: an id that no header can have.
    """
    if not _ID.fullmatch(message_id):
        raise MalformedError(f"{ID}: use 1 to 200 printable ASCII characters without blanks")
    signatures = " ".join(f"v1,{_signature(key, message_id, str(timestamp), body)}" for key in keys)
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: signatures}


def verify(
    keys: Sequence[bytes], headers: Iterable[tuple[str, str]] | Mapping[str, str], body: bytes, now: float
) -> str:
    """The id of a message that one of the keys signed within the window.

    Compares with every key and signature, in constant time each.

    Args:
        headers: as received, a name perhaps more than once; names in any case.
        now: seconds since 1970, UTC, by the wall.

    Raises:
        MalformedError: a header is there twice, or not of its form.
        SignatureError: not signed, by another key, or outside of the window.
    """
    message_id, timestamp, signature = _headers(headers)
    given = _given(signature)
    fits = False
    for key in keys:
        expected = base64.b64decode(_signature(key, message_id, timestamp, body))
        for one in given:
            fits |= hmac.compare_digest(expected, one)
    if not fits:
        raise SignatureError(f"{SIGNATURE}: no signature of a key that is known here; sign with the shared key")
    off = now - int(timestamp)
    if abs(off) > WINDOW:
        word = "ago" if off > 0 else "ahead"
        raise SignatureError(
            f"{TIMESTAMP}: {abs(off):.0f} s {word}; at most {WINDOW} are taken: sign anew, set the clock"
        )
    return message_id


def _headers(headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> tuple[str, str, str]:
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    found = []
    for name in (ID, TIMESTAMP, SIGNATURE):
        values = [value for key, value in pairs if key.lower() == name]
        if not values:
            raise SignatureError(f"{name}: missing; send the three headers of Standard Webhooks")
        if len(values) > 1:
            raise MalformedError(f"{name}: it is there {len(values)} times; send it once")
        found.append(values[0].strip(" \t"))
    message_id, timestamp, signature = found
    if not _ID.fullmatch(message_id):
        raise MalformedError(f"{ID}: use 1 to 200 printable ASCII characters without blanks")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise MalformedError(f"{TIMESTAMP}: not a whole number of seconds since 1970")
    return message_id, timestamp, signature


def _given(header: str) -> list[bytes]:
    """The signatures of version 1; those of versions that are not known here are left out."""
    parts = header.split(" ")
    if len(parts) > MOST_SIGNATURES:
        raise MalformedError(f"{SIGNATURE}: more than {MOST_SIGNATURES} signatures")
    found = []
    for part in parts:
        version, comma, text = part.partition(",")
        if not (comma and version and text):
            raise MalformedError(f"{SIGNATURE}: not of the form v1,BASE64, several parted by blanks")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(text, validate=True))
        except (ValueError, binascii.Error):
            raise MalformedError(f"{SIGNATURE}: what follows v1, is not base64") from None
    return found


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
