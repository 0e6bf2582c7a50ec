"""The registry as processes of several machines write to it: one at a time, by a lock of the ledger's database.

MLflow has no lock of its own, and that of a folder holds on one machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from crossmix.ledger import locks
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.registry.mlflow_door import RegistryError
from crossmix.registry.store import Registry

PATIENCE = 600.0
"""Seconds for which one writer waits for the others."""
R = TypeVar("R", bound=Registry)


def shared(registry: R, database: str | None) -> R:
    """The registry, whose writers wait for those of other machines too.

    Args:
        database: SQLAlchemy URL of the ledger; on SQLite, or `None`, there is one machine, and its folder's lock does.
    """
    if database is None or not database.startswith("postgresql"):
        return registry
    return replace(registry, shared=partial(_alone, database))


@contextmanager
def _alone(database: str) -> Iterator[None]:
    with ExitStack() as held:
        try:
            store = Store(database, migrated=False)
            held.callback(store.close)
            held.enter_context(locks.alone(store, locks.REGISTRY, PATIENCE))
        except StoreAwayError as error:
            raise RegistryError(f"registry: nothing was changed, for its lock is in the ledger: {error}") from None
        yield
