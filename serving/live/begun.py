"""The experiment that the database has; the first start of a server begins the config's."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection

from crossmix.config import Serving
from crossmix.ledger import canaries, experiments
from crossmix.ledger.store import Store
from serving.assignment import arms
from serving.assignment.arms import Experiment, ExperimentError


class Begun:
    """Experiments as they began.

    Args:
        settings: what the first one begins with.
        named: keys of the settings that a person gave for this start: those of the experiment must be as it began.
    """

    def __init__(self, settings: Serving, named: Collection[str]) -> None:
        self.settings, self._named = settings, frozenset(named)
        self.trouble: str | None = None
        """Why the named settings are not those of the experiment that goes on."""
        self.since: float | None = None

    def read(self, store: Store, *, serves: bool) -> Experiment:
        """The newest experiment of the database.

        Args:
            serves: the server serves already: what it was started with is no error any more, but told as trouble.

        Raises:
            ExperimentError: it began with another of the named settings.
            StoreAwayError: the database is away.
        """
        settings = self.settings
        plan = experiments.Plan(
            settings.experiment,
            settings.salt or secrets.token_hex(16),
            {"policy": settings.weight, "control": round(1 - settings.weight, 9)},
            settings.days,
            settings.level,
        )
        begun = experiments.first(store, plan, "crossmix serve")
        try:
            arms.check_named(self._named, settings, begun[-1])
        except ExperimentError as error:
            if not serves:
                raise
            # The database was away at the start: what serves goes on, and says so.
            self.trouble, self.since = str(error), time.time()
        self._named = frozenset()  # later ones begin while this server runs
        return arms.of_rows(begun, canaries.load_all(store))
