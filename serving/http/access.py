"""Who may ask what: bearer tokens with scopes, for HTTP and gRPC.

The tokens' file holds a name, the SHA-256 of the token and its scopes for each; a token itself is shown once, when it
is made. A running server follows the file, so that a revoked token ends within a second. What no rule names needs
`admin`: a new route is closed until somebody opens it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossmix import files
from crossmix.listening import names_this_machine
from serving.http.root import routed

_log = logging.getLogger(__name__)
SCOPES = ("read", "serve", "feedback", "admin")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
PAGES = frozenset({"/", "/page.json", "/delivery.csv", "/experiment", "/experiment.json"})
"""What a person opens in a browser: there the token may also be the password of Basic authentication."""
DESK = "/desk/"
"""Where the page's forms are: they need `admin`, also to be looked at; a form is signed (`serving.page.csrf`)."""
OPEN = frozenset({"/healthz", "/v2/health/live", "/v2/health/ready"})
FOLLOW_SECONDS = 1.0

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKS = re.compile(r"/v1/models/[^/]+:(predict|explain)|/v2/models/[^/]+(/versions/[^/]+)?/infer")
_ABOUT = re.compile(r"/v1/models(/[^/]+)?|/v2|/v2/models(/[^/]+(/versions/[^/]+)?(/ready)?)?")
"""What a protocol's client asks before it asks for an answer: readiness and metadata."""
_RPC_SCOPES: dict[str, tuple[str, ...]] = {
    "ServerLive": (),
    "ServerReady": (),
    "ModelReady": ("read", "serve"),
    "ServerMetadata": ("read", "serve"),
    "ModelMetadata": ("read", "serve"),
    "ModelInfer": ("serve",),
}
"""Any of them will do; none: no token is asked for."""
RPCS = frozenset(_RPC_SCOPES)
"""KServe's methods that this server answers."""
CALLER: ContextVar[str | None] = ContextVar("caller", default=None)
"""Name of the token of the gRPC call under way."""
_HEADER, _METADATA = "the header Authorization", "metadata authorization"
"""Where HTTP and gRPC have the token."""


class AccessError(ValueError):
    """A tokens' file, name or scope that cannot be used; the message names field, value and remedy."""


@dataclass(frozen=True, slots=True)
class Token:
    """A line of the tokens' file."""

    name: str
    """Who: in the audit trail and in the log."""
    sha256: str
    """Of the token, hex."""
    scopes: tuple[str, ...]

    def allows(self, *scopes: str) -> bool:
        """Whether it has one of them; `admin` may everything."""
        return "admin" in self.scopes or any(scope in self.scopes for scope in scopes)


class Tokens:
    """The tokens of a file, followed while the server runs.

    Raises:
        AccessError: the file is not there, others can read it, or it is malformed. Once the server runs, such a file is
            logged and the tokens before stay valid.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self._clock = Path(file), clock
        self._stamp = _stamp(self.file)
        self._listed = load(self.file)
        self._looked = clock()

    def known(self, secret: str) -> Token | None:
        """The token whose secret this is. Compares with every one, in constant time each, found or not."""
        self._follow()
        given = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
        matching = None
        for token in self._listed:
            if hmac.compare_digest(token.sha256, given):
                matching = token
        return matching

    def _follow(self) -> None:
        now = self._clock()
        if now - self._looked < FOLLOW_SECONDS:
            return
        self._looked = now
        stamp = _stamp(self.file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._listed = load(self.file)
        except AccessError as error:
            _log.error("%s; the tokens before stay valid", error)


_FOREIGN = "host: this server is open to its own machine only; ask it as localhost, or give it tokens"


class Access:
    """ASGI middleware: 401 without a valid token, 403 without the scope; notes the token's name as the state's `actor`
    and, as `admin`, whether it may change things.

    Args:
        tokens: `None`: everybody may everything, for a server that only its own machine reaches.
        exempt: paths that need no token to be read.
    """

    def __init__(self, app: Any, tokens: Tokens | None, exempt: Iterable[str] = OPEN) -> None:
        self.app, self.tokens, self.exempt = app, tokens, frozenset(exempt)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if self.tokens is None:
            if kind == "http" and not _from_here(scope["headers"]):
                await _refuse(send, 403, _FOREIGN, ())
                return
            scope.setdefault("state", {})["admin"] = True
            await self.app(scope, receive, send)
            return
        if kind != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        method, path = scope["method"], routed(scope)
        if method in _READS and (path in self.exempt or (path == "/" and not for_people(scope["headers"]))):
            await self.app(scope, receive, send)
            return
        browser = (path in PAGES and method in _READS) or path.startswith(DESK)
        sent = [value for key, value in scope["headers"] if key == b"authorization"]
        secret = _secret(sent[0].decode("latin-1"), browser) if len(sent) == 1 else None
        token = None if secret is None else self.tokens.known(secret)
        if token is None:
            # The same answer to a malformed token, an unknown one and one that was revoked.
            challenge = 'Bearer realm="crossmix"' + (', error="invalid_token"' if sent else "")
            challenges = ['Basic realm="crossmix", charset="UTF-8"', challenge] if browser else [challenge]
            await _refuse(send, 401, _unauthorised(bool(sent), _HEADER), challenges)
            return
        needed = scopes_of(method, path)
        if not token.allows(*needed):
            challenge = f'Bearer realm="crossmix", error="insufficient_scope", scope="{needed[0]}"'
            await _refuse(send, 403, forbidden(needed[0]), [challenge])
            return
        state = scope.setdefault("state", {})
        state["actor"], state["admin"] = token.name, token.allows("admin")
        await self.app(scope, receive, send)


def _from_here(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request to an open server is this machine's own, not a web page's that its browser has open.

    Such a page can send simple requests to loopback, or make its own name point there: its Origin or the Host tells.
    """
    for key, value in headers:
        if key == b"host" and not names_this_machine(value.decode("latin-1")):
            return False
        if key == b"origin" and not names_this_machine(value.decode("latin-1").partition("://")[2]):
            return False
    return True


def for_people(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request wants a page, as browsers say in Accept: who asks `/` for anything else asks for liveness."""
    return any(key == b"accept" and b"html" in value.lower() for key, value in headers)


def scopes_of(method: str, path: str) -> tuple[str, ...]:
    """The scopes of which a request needs one."""
    if method in _READS:
        if path.startswith(DESK):
            return ("admin",)
        return ("read", "serve") if _ABOUT.fullmatch(path) else ("read",)
    if method == "POST" and path == "/feedback":
        return ("feedback",)
    if method == "POST" and _ASKS.fullmatch(path):
        return ("serve",)
    return ("admin",)


def _unauthorised(sent: bool, where: str) -> str:
    problem = "not a valid token of this server" if sent else "missing"
    return f"authorization: {problem}; send {where}: Bearer TOKEN"


def forbidden(needed: str) -> str:
    """What a valid token without the scope is told."""
    return f"authorization: this token lacks scope {needed}; use one made with crossmix token create --scope {needed}"


def grpc_interceptor(tokens: Tokens) -> Any:
    """An interceptor of grpc.aio: UNAUTHENTICATED and PERMISSION_DENIED, by the metadata `authorization`."""
    import grpc

    def refusal(status: Any, sentence: str) -> Any:
        async def refuse(_: Any, context: Any) -> None:
            await context.abort(status, sentence)

        return grpc.unary_unary_rpc_method_handler(refuse)

    class Checked(grpc.aio.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            needed = _RPC_SCOPES.get(details.method.rpartition("/")[2], ("admin",))
            if not needed:
                return await continuation(details)
            sent = [value for key, value in details.invocation_metadata or () if key == "authorization"]
            secret = _secret(sent[0], basic=False) if len(sent) == 1 and isinstance(sent[0], str) else None
            token = None if secret is None else tokens.known(secret)
            if token is None:
                return refusal(grpc.StatusCode.UNAUTHENTICATED, _unauthorised(bool(sent), _METADATA))
            if not token.allows(*needed):
                return refusal(grpc.StatusCode.PERMISSION_DENIED, forbidden(needed[0]))
            CALLER.set(token.name)
            return await continuation(details)

    return Checked()


def load(file: Path) -> tuple[Token, ...]:
    """The tokens of a file; raises `AccessError`."""
    try:
        with file.open("rb") as opened:
            exposed = files.exposed(os.fstat(opened.fileno()))
            raw = opened.read()
    except OSError as error:
        raise AccessError(
            f"tokens {file}: cannot be read ({error.strerror}); make it with crossmix token create"
        ) from None
    if exposed is not None:
        raise AccessError(f"tokens {file}: {exposed}")
    try:
        rows = json.loads(raw)
    except (ValueError, RecursionError):
        raise AccessError(f"tokens {file}: not JSON; make it again with crossmix token create") from None
    if not isinstance(rows, list):
        raise AccessError(f"tokens {file}: {type(rows).__name__}; it holds an array, one object per token")
    tokens = tuple(_row(row, f"tokens {file}[{index}]") for index, row in enumerate(rows))
    names = [token.name for token in tokens]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise AccessError(f"tokens {file}: name {twice!r} is there twice; each token has a name of its own")
    return tokens


def create(file: Path, name: str, scopes: Sequence[str]) -> str:
    """Add a token to the file, which is made if it is not there.

    Returns:
        The token: it is kept nowhere.

    Raises:
        AccessError: the name or a scope cannot be used, the name is taken, or the file is unusable.
    """
    secret = "cmx_" + secrets.token_urlsafe(32)
    row = {"name": name, "sha256": hashlib.sha256(secret.encode()).hexdigest(), "scopes": list(dict.fromkeys(scopes))}
    token = _row(row, "token")
    with _changing(file) as listed:
        if any(other.name == name for other in listed):
            raise AccessError(f"name: {name!r} is taken; choose another, or end it first with crossmix token revoke")
        listed.append(token)
    return secret


def revoke(file: Path, name: str) -> None:
    """Take a token out of the file; raises `AccessError`."""
    load(file)
    with _changing(file) as listed:
        left = [token for token in listed if token.name != name]
        if len(left) == len(listed):
            known = ", ".join(token.name for token in listed) or "none"
            raise AccessError(f"name: no token {name!r} in {file}; there: {known}")
        listed[:] = left


@contextlib.contextmanager
def _changing(file: Path) -> Iterator[list[Token]]:
    """The file's tokens to be changed, one process at a time; readers see the file before or after, never half."""
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise AccessError(f"tokens {file}: {error.strerror}; name a file in a folder that exists") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        listed = list(load(file)) if file.exists() else []
        yield listed
        content = json.dumps([asdict(token) for token in listed], indent=1) + "\n"
        try:
            files.write(file, content, durable=True, mode=0o600)
        except OSError as error:
            raise AccessError(f"tokens {file}: cannot be written ({error.strerror}); name another file") from None
    finally:
        os.close(folder)


def _row(raw: Any, where: str) -> Token:
    if not isinstance(raw, dict) or set(raw) != {"name", "sha256", "scopes"}:
        raise AccessError(f"{where}: not a token; each has name, sha256 and scopes")
    name, digest, scopes = raw["name"], raw["sha256"], raw["scopes"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise AccessError(f"{where}.name: {str(name)[:80]!r}; use 1 to 64 letters, digits, dots, dashes, @ or _")
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise AccessError(f"{where}.sha256: not 64 hex digits; make the token again with crossmix token create")
    if not isinstance(scopes, list) or not scopes:
        raise AccessError(f"{where}.scopes: none; give one or more of {', '.join(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise AccessError(f"{where}.scopes: {str(scope)[:80]!r} is unknown; use {', '.join(SCOPES)}")
    return Token(name, digest, tuple(scopes))


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode


def _secret(header: str, basic: bool) -> str | None:
    """The token in an Authorization header: `Bearer TOKEN`, or the password of `Basic` where that is taken."""
    kind, _, rest = header.partition(" ")
    rest = rest.strip()
    if kind.lower() == "bearer":
        return rest or None
    if kind.lower() != "basic" or not basic:
        return None
    try:
        pair = base64.b64decode(rest, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return pair.partition(":")[2] or None


async def _refuse(send: Any, status: int, sentence: str, challenges: Sequence[str]) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", challenge.encode()) for challenge in challenges]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


__all__ = ["SCOPES", "Access", "AccessError", "Token", "Tokens", "create", "grpc_interceptor", "load", "revoke"]
