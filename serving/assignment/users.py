"""The only form in which a user's id is kept: a keyed hash, of no use without the experiment's salt."""

from __future__ import annotations

import hashlib
from functools import lru_cache

LONGEST = 500


def check(raw: object) -> str:
    """A user's id as router and feedback take it.

    Raises:
        ValueError: no text, empty, no UTF-8, or longer than `LONGEST` characters; says which, and the remedy.
    """
    if not isinstance(raw, str) or not raw:
        raise ValueError(f"user_id: {'missing' if raw is None else repr(raw)[:80]}; send the user's id as text")
    if len(raw) > LONGEST:
        raise ValueError(f"user_id: {len(raw)} characters; send at most {LONGEST}")
    if not _is_utf8(raw):
        raise ValueError(f"user_id: {raw[:80]!r} is no UTF-8; send the user's id as text")
    return raw


def hashed(user_id: str, salt: str) -> str:
    """32 hex digits: keyed blake2b of the id. The same id under another salt cannot be linked to it.

    The salt goes through a hash of its own first, because a key has at most 64 bytes and a salt any length.
    """
    return hashlib.blake2b(user_id.encode(), key=_key(salt), digest_size=16).hexdigest()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=16)
def _key(salt: str) -> bytes:
    return hashlib.blake2b(b"user:" + salt.encode(), digest_size=32).digest()
