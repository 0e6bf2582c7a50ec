"""What a piece of work asks of the database: its statements, and how many campaigns were read of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import sqlalchemy as sa

from crossmix.ledger import campaigns
from crossmix.ledger.store import Store


@dataclass
class Counted:
    """Filled while the work goes on."""

    statements: list[str] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    """Names of the threads that asked them, in the same order."""
    campaigns: int = 0

    def beside(self, thread: str) -> list[str]:
        """What was not asked by the threads of that name."""
        return [one for one, by in zip(self.statements, self.threads, strict=True) if by != thread]


@contextmanager
def counted(store: Store) -> Iterator[Counted]:
    """Counts what is asked of a store within the block, by whatever thread."""
    count, load = Counted(), campaigns._load

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        count.statements.append(statement)
        count.threads.append(threading.current_thread().name)

    def loaded(*arguments: Any) -> Any:
        found = load(*arguments)
        count.campaigns += len(found)
        return found

    sa.event.listen(store.engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(campaigns, "_load", loaded):
            yield count
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", note)
