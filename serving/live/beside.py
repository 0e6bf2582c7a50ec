"""The feature folder beside the bundle: fetched from the registry with the champion, online side as this server has it.

A server reads and pushes statistics online alone, so that what it needs of a feature folder is small and lies with the
version. Whoever pushes also puts the log's statistics into the online store (`Seeding`), where the champion is another
one now or the store has lost them: a fresh Redis knows them within a round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.background import ExpectedError, Loop, sentence
from crossmix.ledger.locks import Lead
from crossmix.ledger.store import Store, StoreAwayError

if TYPE_CHECKING:
    from crossmix.registry.store import Registry

_log = logging.getLogger(__name__)
SEED_SECONDS = 60.0


class Beside:
    """The folder.

    Args:
        folder: of this server's own.
        registry: makes the registry's client.
        online: Feast's section `online_store`; `None`: SQLite in the folder.
    """

    def __init__(self, folder: Path, registry: Callable[[], Registry], online: Mapping[str, Any] | None) -> None:
        self.folder, self._registry, self.online = Path(folder), registry, online
        self.version: int | None = None
        """Whose features were fetched; `None`: those of a start before, or none."""

    def start(self, version: int | None) -> None:
        """Have the folder; where they cannot be fetched, those of a start before do.

        Raises:
            RegistryError: the version has none, and nothing was kept.
            Whatever the registry raises where it is away and nothing was kept.
        """
        from feature_repo.opened import write_store_config

        kept = (self.folder / "registry.db").is_file()
        try:
            self.follow(version)
        except Exception as error:  # MLflow's stores raise their own kinds each
            if not kept:
                raise
            _log.warning("features: those of the start before serve (%s)", sentence(error))
        write_store_config(self.folder, self.online)

    def follow(self, version: int | None) -> None:
        """Have the features of a version; raises what the registry does."""
        from crossmix.registry import downloads

        if version is None or version == self.version:
            return
        downloads.features(self._registry(), version, self.folder)
        self.version = version


class Seeding(Loop):
    """Puts the log's statistics into the online store, every `seconds` until `stop`.

    Args:
        beside: the folder.
        version: of the bundle that serves.
        store: how to open the ledger; it may raise `StoreAwayError`: tried again.
        lead: who pushes also seeds.
    """

    def __init__(
        self,
        beside: Beside,
        version: Callable[[], int | None],
        store: Callable[[], Store],
        lead: Lead,
        seconds: float = SEED_SECONDS,
    ) -> None:
        super().__init__("log's statistics", seconds, self._seed, at_once=True, expected=(StoreAwayError,))
        self._beside, self._version, self._open, self._lead = beside, version, store, lead
        self.seeded = 0
        """Campaigns' rows that were written."""

    def _seed(self) -> None:
        if not self._lead.held(self._open()):
            return
        from feature_repo import features

        try:
            self._beside.follow(self._version())
            self.seeded += features.seed(self._beside.folder)
        except Exception as error:  # MLflow, Feast and their stores raise their own kinds each
            raise ExpectedError(sentence(error)) from error


__all__ = ["Beside", "Seeding"]
