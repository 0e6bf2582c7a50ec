"""Settings of the feature store's online side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crossmix.config.values import STRICT


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """Where the feature store keeps each campaign's newest statistics."""

    __pydantic_config__ = STRICT
    online: Literal["sqlite", "redis"] = "sqlite"
    """`sqlite`: `online.db` in the feature folder. `redis`: the server at the variable `CROSSMIX_REDIS`
    (redis://[user:password@]host:port/db, or Feast's host:port,db=0,password=...), which all of a cluster read."""
