"""`crossmix serve`: a run's champion behind the experiment's router."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from crossmix.clock import Clock, ClockError, clock_of
from crossmix.config import Config, ConfigError, load
from pipelines import local

_log = logging.getLogger(__name__)
SERVED = ("serving.*", "registry.*", "online.sigma")
"""What of a run's config a server may change."""


def run_with(out: Path, overrides: Sequence[str], what: str = "a server", keys: Sequence[str] = SERVED) -> Config:
    """The run's config with changes of some of its keys.

    Args:
        what: what takes the config, for the error.
        keys: those that may change.

    Raises:
        ConfigError: no finished run, or a change that does not fit.
    """
    for item in overrides:
        if not item.startswith(tuple(key.removesuffix("*") for key in keys)):
            takes = f"{', '.join(keys[:-1])} and {keys[-1]}"
            raise ConfigError(f"--set {item!r}: {what} takes {takes}; train for the rest")
    from crossmix.config import documented, from_json

    config = from_json(json.dumps(local.run_config(out)))
    return load(config.preset, overrides, dict(documented(config)))


def serve(
    out: Path,
    config: Config,
    settings: Any,
    folder: Path | None,
    started: Callable[[str], None],
    overrides: Sequence[str] = (),
) -> None:
    """Serve the run in `out` until SIGTERM.

    Args:
        overrides: what a person changed of the run's config: an experiment that has begun must be as they say.
        settings: `serving.app.Settings`.
        folder: the server's own; OUT/serving if `None`.
        started: called with a line once it answers.
    """
    from crossmix.registry.refusing import RefusingRegistry
    from crossmix.registry.store import Registry
    from serving import app as server
    from serving.canary import answers
    from serving.canary import watch as trial
    from serving.experiment.standing import mark_of
    from serving.experiment.watch import Watch
    from serving.feedback.materialise import Pusher
    from serving.http import logs
    from serving.live.champion import Champion
    from serving.live.live import Live

    settings.check()
    server.config_of(config)
    if settings.role != "all" and config.serving.database is None:
        raise ConfigError(
            f"--role {settings.role}: parts of a cluster share one database; add --set serving.database=postgresql+psycopg://..."
        )
    # A registry that does not answer is away after seconds, not after MLflow's minutes of retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    own = folder or out / "serving"
    logs.write_to()
    clock = clock_for(config)
    champion = Champion(own, lambda: Registry.of(config, out).connected(), out / "bundle", clock)
    database = config.serving.database or f"sqlite:///{(own / 'serving.db').absolute()}"
    features = local.step_folder(out, "features")
    named = [item.partition("=")[0].removeprefix("serving.") for item in overrides]
    live = Live(config, own, database, champion, features, clock, named)
    live.start()
    leads = settings.role in ("all", "router")
    silent = config.serving.guard.silent
    pusher = Pusher(
        live, features, window=config.window, decay=config.decay, silent=silent, clock=clock, writes=leads,
        trial=live.trial,
    )  # fmt: skip
    live.watch(pusher)
    if leads:
        watch = partial(_ended, live, config, out)
        guard = Watch(
            lambda: live.store,
            lambda: live.experiment.id,
            config,
            watch,
            now=clock,
            version=lambda: live.version,
            mark=mark_of(live),
        )
        live.watch(guard)
        live.watch(
            trial.Watch(
                lambda: live.store,
                lambda: RefusingRegistry.of(config, out),
                partial(_anew, live),
                partial(answers.versions, live, settings),
                now=clock,
                mark=mark_of(live),
                told=live.trial.tell,
            )
        )
    address = f"http://{settings.host}:{settings.port}"
    greeting = f"serving {champion.current.bundle.digest[:12]} at {address} (the page; /openapi.json), SIGTERM ends it"
    server.run(live, settings, lambda: started(greeting))


def clock_for(config: Config) -> Clock:
    """The clock that `serving.clock` names; raises `ConfigError` where its file holds no time."""
    try:
        return clock_of(config.serving.clock)
    except ClockError as error:
        raise ConfigError(f"serving.{error}") from None


def _anew(live: Any) -> None:
    """A canary took a step or ended: what serves is read anew, now."""
    live.reload()
    live.follow_champion()


def _ended(live: Any, config: Config, out: Path, reason: str, version: int | None) -> None:
    """A guardrail ended the experiment: everybody gets the static split, and the champion before serves again.

    Only `version` is rolled back: a second call, or a champion that somebody promoted since, changes nothing.
    """
    from crossmix.registry.mlflow_door import RegistryError
    from crossmix.registry.store import Registry

    live.reload()
    if version is None:
        _log.warning("the experiment has ended; no version of the registry served, so none is rolled back")
        return
    try:
        Registry.of(config, out).rollback(actor="guardrail", reason=reason, of=version)
    except RegistryError as error:
        _log.warning("the experiment has ended; no rollback: %s", error)
