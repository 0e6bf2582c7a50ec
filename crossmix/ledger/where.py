"""Where the ledger is: what the config names, else the environment, where a cluster has its secret."""

from __future__ import annotations

import os
import re

from crossmix.config import Serving

VARIABLE = "CROSSMIX_DATABASE"
"""SQLAlchemy URL of the database, where `serving.database` names none: a password does not belong into a config."""


def database_of(settings: Serving) -> str | None:
    """SQLAlchemy URL of the ledger; `None`: neither names one."""
    url = settings.database or os.environ.get(VARIABLE)
    return normal(url) if url else None


def normal(url: str) -> str:
    """A URL as PostgreSQL's own clients write it (postgresql://, postgres://) with psycopg, the driver that is here."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
