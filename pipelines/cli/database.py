"""The server's database, opened by a command: in place of a running server, or beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crossmix.clock import Clock, ClockError, clock_of

if TYPE_CHECKING:
    from crossmix.ledger.store import Store

CLOCK = "CROSSMIX_CLOCK"
"""Variable: the file of the server's clock, where a driver moves that (`serving.clock`)."""


@contextmanager
def opened(url: str, clock: Clock | None = None) -> Iterator[Store]:
    """A database that is there.

    Args:
        url: SQLAlchemy URL.
        clock: the server's; absent: that of the variable `CLOCK`, else the machine's.

    Raises:
        ConfigError: it is none, or away, also while it is used; or the clock's file holds no time.
    """
    # Help needs neither the config nor SQLAlchemy.
    from crossmix.config import ConfigError
    from crossmix.ledger.store import Store, StoreAwayError, StoreUrlError

    try:
        store = Store.existing(url, clock or clock_of(os.environ.get(CLOCK)))
    except ClockError as error:
        raise ConfigError(f"{CLOCK}: {error}") from None
    except StoreUrlError as error:
        raise ConfigError(f"--database {url}: {error}") from None
    except StoreAwayError as error:
        raise ConfigError(f"--database: {error}; start it, or name another") from None
    try:
        yield store
    except StoreAwayError as error:
        raise ConfigError(f"--database: {error}; start it, or name another") from None
    finally:
        store.close()
