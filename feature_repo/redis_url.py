"""Where Redis is: the environment's URL, in Feast's own form."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from crossmix.config import ConfigError

VARIABLE = "CROSSMIX_REDIS"
"""Address of Redis: its password does not belong into a config, nor into a feature folder."""
SECONDS = 5
"""After which a Redis that says nothing is away."""


def online_store() -> dict[str, str]:
    """Feast's section `online_store` for Redis; it names the variable, which is expanded when the store is opened.

    Raises:
        ConfigError: the variable names none.
    """
    feast_form(os.environ.get(VARIABLE, ""))
    return {"type": "redis", "connection_string": f"${{{VARIABLE}}}"}


def feast_form(address: str) -> str:
    """An address as Feast reads it: host:port,db=0,ssl=true,password=...; one in this form already stays.

    Raises:
        ConfigError: it is none, or a part cannot be written so.
    """
    if "://" not in address:
        host, _, port = address.partition(",")[0].partition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"{VARIABLE}: it names no Redis; set it, as redis://redis:6379/0")
        return _patient(address)
    try:
        url = urlsplit(address)
        port_ = url.port or 6379
    except ValueError:
        raise ConfigError(f"{VARIABLE}: its port is none; set it, as redis://redis:6379/0") from None
    if url.scheme not in ("redis", "rediss") or not url.hostname:
        raise ConfigError(f"{VARIABLE}: {url.scheme}:// names no Redis; set it, as redis://redis:6379/0")
    database = url.path.strip("/") or "0"
    if not database.isdigit():
        raise ConfigError(f"{VARIABLE}: database {database!r} is no number; set it, as redis://redis:6379/0")
    parts = [f"{url.hostname}:{port_}", f"db={database}"]
    for name, value in (("username", url.username), ("password", url.password)):
        if value:
            plain = unquote(value)
            if "," in plain:
                raise ConfigError(f"{VARIABLE}: the {name} has a comma, which Feast cannot read; take another")
            # Feast reads values as JSON where it can: one of digits alone would be a number.
            parts.append(f'{name}="{plain}"' if plain.isdigit() else f"{name}={plain}")
    if url.scheme == "rediss":
        parts.append("ssl=true")
    return _patient(",".join(parts))


def _patient(address: str) -> str:
    """With time limits, where it has none."""
    limits = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    return ",".join([address, *(f"{name}={value}" for name, value in limits.items() if f",{name}=" not in address)])
