"""`crossmix serve`: a champion behind the experiment's router, of a run's folder (`of_run`) or of a registry
(`pipelines.cli.serve_registry`)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix import listening
from crossmix.clock import Clock, ClockError, clock_of
from crossmix.config import Config, ConfigError, load
from pipelines import local

if TYPE_CHECKING:
    from crossmix.registry.refusing import RefusingRegistry
    from crossmix.registry.store import Registry
    from serving.app import Settings
    from serving.kinds.alone import Alone
    from serving.kinds.champion import KindChampion
    from serving.live.beside import Beside
    from serving.live.champion import Champion
    from serving.live.live import Live

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
    check_served(overrides, "--set", what, keys)
    from crossmix.config import documented, from_json

    config = from_json(json.dumps(local.run_config(out)))
    return load(config.preset, overrides, dict(documented(config)))


def task_of(out: Path) -> str:
    """Task of the run in a folder; raises as `local.run_config`."""
    return str(local.run_config(out).get("task", "split"))


def check_served(
    overrides: Sequence[str], where: str = "--set", what: str = "a server", keys: Sequence[str] = SERVED
) -> None:
    """Raise `ConfigError` for a change, as KEY=VALUE, of what may not be changed; arguments as `run_with`'s."""
    for item in overrides:
        if not item.startswith(tuple(key.removesuffix("*") for key in keys)):
            takes = f"{', '.join(keys[:-1])} and {keys[-1]}"
            raise ConfigError(f"{where} {item!r}: {what} takes {takes}; train for the rest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a server starts from: a run's folder, or a registry."""

    config: Config
    own: Path
    """The server's own folder: all that it writes."""
    champion: Champion
    registry: Callable[[], RefusingRegistry]
    """Makes a client that may move the registry's aliases."""
    kinds: Callable[[str], Registry]
    """Makes a client of the registered model of another kind of bundles."""
    database: str
    """SQLAlchemy URL."""
    features: Path
    """Feature folder."""
    clock: Clock
    named: Sequence[str]
    """Keys of the section `serving` that a person gave for this start."""
    beside: Beside | None = None
    """The feature folder that was fetched; `None`: it is a run's, which keeps statistics offline too."""


def of_run(out: Path, config: Config, settings: Settings, folder: Path | None, overrides: Sequence[str]) -> Start:
    """What a server of the run in `out` starts from.

    Args:
        folder: the server's own; OUT/serving if `None`.
        overrides: what a person changed of the run's config: an experiment that has begun must be as they say.

    Raises:
        ConfigError: settings that cannot run.
        BundleError: nothing can serve.
    """
    from crossmix.ledger.where import database_of
    from crossmix.registry.refusing import RefusingRegistry
    from crossmix.registry.shared import shared
    from crossmix.registry.store import Registry
    from serving import app as server
    from serving.http import logs
    from serving.live.champion import Champion

    settings.check()
    server.config_of(config)
    database = database_of(config.serving)
    if settings.role != "all" and database is None:
        raise ConfigError(NO_DATABASE.format(settings.role))
    prepare()
    own = folder or out / "serving"
    logs.write_to()
    clock = clock_for(config)
    return Start(
        config=config,
        own=own,
        champion=Champion(own, lambda: Registry.of(config, out).connected(), out / "bundle", clock),
        registry=lambda: shared(RefusingRegistry.of(config, out), database),
        kinds=lambda kind: Registry.of(config, out, kind).connected(),
        database=database or f"sqlite:///{(own / 'serving.db').absolute()}",
        features=local.step_folder(out, "features"),
        clock=clock,
        named=named_in(overrides),
    )


NO_DATABASE = (
    "--role {}: parts of a cluster share one database; add --set serving.database=postgresql+psycopg://..., or set "
    "CROSSMIX_DATABASE"
)


LEADS = ("serving.canary.answers", "serving.canary.watch", "serving.experiment.standing", "serving.experiment.watch")
PUSHES = ("serving.feedback.guard", "serving.feedback.materialise", "serving.live.beside")
"""What roles import before any thread runs."""


def named_in(overrides: Sequence[str]) -> list[str]:
    """Keys of the section `serving` in `--set`."""
    return [item.partition("=")[0].removeprefix("serving.") for item in overrides]


def prepare() -> None:
    """Import Feast as this house does before MLflow's client does it, which would load torch; and a registry that does
    not answer is away after seconds, not after MLflow's minutes of retries."""
    from feature_repo.feast_import import import_feast

    import_feast()
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


def serve(start: Start, settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM.

    Args:
        started: called with a line once its port is open, and once it answers.
    """
    from serving import app as server
    from serving.live.awaited import telling
    from serving.live.live import Live

    # The thread that pushes imports torch, and SciPy, imported meanwhile, fails on a torch that is there by half.
    for needed, roles in ((PUSHES, server.PUSHING), (LEADS, server.LEADING)):
        for name in needed if settings.role in roles else ():
            import_module(name)
    live = Live(start.config, start.own, start.database, start.champion, start.features, start.clock, start.named)
    with telling(start.champion.asked.told):
        live.start()
    if settings.role in server.ANSWERING:
        live.follow_kinds(kinds_of(start.own, start.kinds, start.clock, start.features))
    _push(live, start, settings)
    if settings.role in server.LEADING:
        _lead(live, start, settings)
    address = f"http://{settings.host}:{settings.port}"
    what = "the page; /openapi.json" if settings.role in server.LEADING else f"as {settings.role}; /openapi.json"
    serving = partial(_answers, live, started, f"at {address} ({what}), SIGTERM ends it")
    server.run(live, settings, partial(_opened, live, started, serving, address))
    _end(live.kinds.values(), start.champion.asked.under_way)


def _end(kinds: Iterable[KindChampion], asking: bool = False) -> None:
    """End the process where a registry's answer is still under way: all is written, and nobody waits for it."""
    if asking or any(one.state == "starting" for one in kinds):
        listening.leave()


def _answers(live: Live, started: Callable[[str], None], where: str) -> None:
    started(f"serving {live.bundle.digest[:12]} {where}")


def _opened(live: Live, started: Callable[[str], None], serving: Callable[[], None], address: str) -> None:
    """The port is open: what serves is told, or what is waited for, until something does."""
    from serving.live.awaited import Awaiting

    why = live.awaited()
    if why is None:
        serving()
        return
    started(f"{address} is open and answers 503: {why}; it goes on by itself, SIGTERM ends it")
    live.watch(Awaiting(live.awaited, serving))


def serve_kinds(
    out: Path, settings: Settings, folder: Path | None, overrides: Sequence[str], started: Callable[[str], None]
) -> None:
    """Serve a run of another task than the split: the kinds beside it, until SIGTERM; arguments as `of_run`'s.

    Raises:
        ConfigError: settings that cannot run.
    """
    from crossmix.registry.store import Registry
    from serving.http import logs
    from serving.kinds.alone import Alone

    config = run_with(out, overrides)
    prepare()
    own, clock = folder or out / "serving", clock_for(config)
    logs.write_to()
    features = local.run_steps(out).get("features")
    kinds = kinds_of(own, lambda kind: Registry.of(config, out, kind).connected(), clock, features, settings.role)
    serve_alone(Alone(config, kinds), settings, started)


def serve_alone(alone: Alone, settings: Settings, started: Callable[[str], None]) -> None:
    """Serve the kinds beside the split, without one, until SIGTERM; arguments as `serve`'s."""
    from serving import app as server
    from serving.kinds.alone import application

    alone.start()
    address = f"http://{settings.host}:{settings.port}"
    line = f"serving {' and '.join(alone.kinds)} at {address} (/serving tells which versions), SIGTERM ends it"
    server.run(alone, settings, lambda: started(line), application)
    _end(alone.kinds.values())


def kinds_of(
    own: Path, registry: Callable[[str], Registry], clock: Clock, features: Path | None, role: str = "all"
) -> list[KindChampion]:
    """The champions of the kinds beside the split.

    Args:
        own: the server's own folder.
        registry: makes a client of a kind's registered model.
        features: feature folder; `None`: there is none.
        role: of the server: one that is a kind's serves that kind alone.
    """
    from serving.app import ALONE
    from serving.kinds.champion import KindChampion
    from serving.kinds.known import KNOWN

    return [
        KindChampion(known, own, partial(registry, kind), clock, features)
        for kind, known in KNOWN.items()
        if role not in ALONE or role == kind
    ]


def _push(live: Live, start: Start, settings: Settings) -> None:
    """What makes statistics of finished cycles, or only says what they lack."""
    from crossmix.ledger.locks import PUSHER, Lead
    from serving import app as server
    from serving.feedback.guard import Doorkeeper
    from serving.feedback.late import Late
    from serving.feedback.materialise import Pusher
    from serving.live.beside import Seeding

    config, writes, lead = start.config, settings.role in server.PUSHING, Lead(PUSHER)
    if writes and start.beside is not None:
        live.watch(Seeding(start.beside, lambda: live.version, lambda: live.store, lead))
    pusher = Pusher(
        live, start.features, window=config.window, decay=config.decay, silent=config.serving.guard.silent,
        clock=start.clock, writes=writes, lead=lead if writes else None, offline=start.beside is None,
        trial=live.trial, guard=Doorkeeper(live, config.serving.guard), late=Late(live),
    )  # fmt: skip
    live.watch(pusher)


def _lead(live: Live, start: Start, settings: Settings) -> None:
    """What watches experiment and canary; of several servers each does, and the ledger lets one act."""
    from serving.canary import answers
    from serving.canary import watch as trial
    from serving.experiment.standing import mark_of
    from serving.experiment.watch import Watch

    live.watch(
        Watch(
            lambda: live.store,
            lambda: live.experiment.id,
            start.config,
            partial(_ended, live, start.registry),
            now=start.clock,
            version=lambda: live.version,
            mark=mark_of(live),
        )
    )
    live.watch(
        trial.Watch(
            lambda: live.store,
            start.registry,
            partial(_anew, live),
            partial(answers.versions, live, settings),
            now=start.clock,
            mark=mark_of(live),
            told=live.trial.tell,
        )
    )


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


def _ended(live: Any, registry: Callable[[], Any], reason: str, version: int | None) -> None:
    """A guardrail ended the experiment: everybody gets the static split, and the champion before serves again.

    Only `version` is rolled back: a second call, or a champion that somebody promoted since, changes nothing.
    """
    from crossmix.registry.mlflow_door import RegistryError

    live.reload()
    if version is None:
        _log.warning("the experiment has ended; no version of the registry served, so none is rolled back")
        return
    try:
        registry().rollback(actor="guardrail", reason=reason, of=version)
    except RegistryError as error:
        _log.warning("the experiment has ended; no rollback: %s", error)
