"""Whether a form that comes in is one that this server gave to this browser.

Pages are opened with Basic authentication, which a browser sends along whoever wrote the form. So a form that changes
something must come from a page of this server (`Sec-Fetch-Site`, else `Origin`), and carry a signature over a random
value that only this browser has as a cookie, over who asks, and over a time after which it no longer holds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping

COOKIE = "crossmix_desk"
HOURS = 12
"""A form holds so long."""
_SESSION = re.compile(r"[A-Za-z0-9_-]{20,64}")


class ForgedError(ValueError):
    """A form that is none of this server's; the message names field and remedy."""


class Signer:
    """Signs forms and checks them.

    Args:
        key: what only servers of one database know; raises where it is away, and then a key of this process is used.
        clock: seconds; the wall's.
    """

    def __init__(self, key: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self._asked, self._clock = key, clock
        self._key: bytes | None = None
        self._own = secrets.token_bytes(32)

    @property
    def ready(self) -> bool:
        """The key is known: nothing of the database is asked any more."""
        return self._key is not None

    def sign(self, session: str, actor: str) -> str:
        """What a form carries."""
        until = int(self._clock()) + HOURS * 3_600
        return f"{until}.{self._digest(self._keys()[0], session, actor, until)}"

    def check(self, headers: Mapping[str, str], session: str | None, actor: str, token: str) -> None:
        """Raise `ForgedError` for a form that is not from a page of this server, in this browser, of this caller."""
        if not same_origin(headers):
            raise ForgedError("origin: this form was sent from another site; open this server's page, and send its own")
        until, _, digest = token.partition(".")
        if session is None or not re.fullmatch(r"\d{1,12}", until):
            raise ForgedError("token: the form has none of this browser; open it again, with cookies allowed")
        if not any(
            hmac.compare_digest(digest.encode(), self._digest(key, session, actor, int(until)).encode())
            for key in self._keys()
        ):
            raise ForgedError("token: the form is not one that was given to you here; open it again")
        if int(until) < self._clock():
            raise ForgedError(f"token: the form is older than {HOURS} hours; open it again")

    def _keys(self) -> list[bytes]:
        """The key to sign with, and others that are taken too."""
        if self._key is None:
            try:
                self._key = hashlib.sha256(b"crossmix desk " + self._asked().encode()).digest()
            except RuntimeError:  # the database is away: what this process signs now, it takes later
                return [self._own]
        return [self._key, self._own]

    @staticmethod
    def _digest(key: bytes, session: str, actor: str, until: int) -> str:
        return hmac.new(key, f"{session}\x1f{actor}\x1f{until}".encode(), hashlib.sha256).hexdigest()


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the request comes from a page of this server; a program says nothing.

    Args:
        headers: names in lower case.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def session_of(cookie: str | None) -> str | None:
    """The browser's own value, if its cookie is one."""
    return cookie if cookie is not None and _SESSION.fullmatch(cookie) else None


def new_session() -> str:
    return secrets.token_urlsafe(24)
