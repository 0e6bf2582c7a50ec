"""Secrets from a file or an environment variable, one or two at once, followed while the process runs.

While a secret is changed two hold: signers use both, receivers take either. A file has one a line, and is read by its
owner alone, or by the group of a cluster's volume (`crossmix.files.exposed`); a broken one leaves those of before in
force, and is told.
"""

from __future__ import annotations

import hmac
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from crossmix import files
from monitoring import signed

_log = logging.getLogger(__name__)
MOST = 2
SHORTEST_TOKEN = 16
"""Characters of a bearer token."""
T = TypeVar("T")


class SecretError(ValueError):
    """Secrets that cannot be used; the message names where they are and the remedy, and no secret."""


class Secrets(Generic[T]):
    """One or two secrets, each made into a `T`.

    Args:
        where: names the setting, for errors.
        file: path; `None`: the variable is read, once.
        variable: name of an environment variable with them, parted by blanks.
        parse: a secret as text to what is used; its `ValueError` says what is wrong without the secret.
        required: none at all is an error; otherwise there are none.

    Raises:
        SecretError: at the start: none where they are required, the file is unusable, or a secret has not its form.
    """

    def __init__(
        self,
        where: str,
        file: str | None,
        variable: str | None,
        parse: Callable[[str], T],
        *,
        required: bool = True,
    ) -> None:
        self.where, self.file = where, None if file is None else Path(file)
        self.trouble: str | None = None
        """Why the file's secrets of before are still in force; `None`: they are the file's."""
        self._parse, self._lock = parse, threading.Lock()
        self._stamp = self._look()
        if self.file is not None:
            self._secrets = self._read()
            return
        text = os.environ.get(variable, "") if variable else ""
        if required and not text.strip():
            known = f"set {variable}, or" if variable else "set"
            raise SecretError(f"{where}: there is no secret; {known} name a file with {where}_file")
        self._secrets = self._parsed(text.split(), f"{where}: variable {variable}") if text.strip() else ()

    def __call__(self) -> tuple[T, ...]:
        """Those that hold now, the newest first; none where none are required."""
        if self.file is None:
            return self._secrets
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._secrets, self.trouble = self._read(), None
                except SecretError as error:
                    self.trouble = f"{error}; the secrets before hold"
                    _log.error("%s", self.trouble)
            return self._secrets

    def _look(self) -> tuple[int, ...] | None:
        if self.file is None:
            return None
        try:
            status = self.file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode

    def _read(self) -> tuple[T, ...]:
        assert self.file is not None
        where = f"{self.where}: file {self.file}"
        try:
            with self.file.open("rb") as opened:
                exposed = files.exposed(os.fstat(opened.fileno()))
                raw = opened.read(10_000)
        except OSError as error:
            raise SecretError(f"{where}: cannot be read ({error.strerror}); name a file with one a line") from None
        if exposed is not None:
            raise SecretError(f"{where}: {exposed}")
        try:
            lines = [line.strip() for line in raw.decode("ascii").splitlines()]
        except UnicodeDecodeError:
            raise SecretError(f"{where}: not text; write one secret a line") from None
        return self._parsed([line for line in lines if line and not line.startswith("#")], where)

    def _parsed(self, texts: list[str], where: str) -> tuple[T, ...]:
        if not 1 <= len(texts) <= MOST:
            raise SecretError(f"{where}: {len(texts)} secrets; keep one, or two while they change")
        try:
            return tuple(self._parse(text) for text in texts)
        except ValueError as error:
            raise SecretError(f"{where}: {error}") from None


def signing(where: str, file: str | None, variable: str | None) -> Secrets[bytes]:
    """Keys of signatures; raises `SecretError`."""
    return Secrets(where, file, variable, signed.key_of)


def bearer(where: str, file: str | None, variable: str | None, *, required: bool = False) -> Secrets[str]:
    """Bearer tokens; raises `SecretError`."""
    return Secrets(where, file, variable, _token, required=required)


def knows(tokens: tuple[str, ...], given: str) -> bool:
    """Whether it is one of them; compares with each, in constant time."""
    raw, found = given.encode("utf-8", "surrogateescape"), False
    for token in tokens:
        found |= hmac.compare_digest(token.encode(), raw)
    return found


def _token(text: str) -> str:
    if len(text) < SHORTEST_TOKEN or not text.isascii() or not text.isprintable():
        raise ValueError(f"a token needs {SHORTEST_TOKEN} printable ASCII characters or more; make a longer one")
    return text
