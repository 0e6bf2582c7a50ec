"""`crossmix serve --registry URI`: a server from the registry alone, as a pod of a cluster starts; no run's folder.

The config comes from the champion's bundle, what a server may change of it (`serve.SERVED`) from a file, `--set` and
the environment, features from beside the bundle, statistics from Redis. All that is written lies in one folder. Where
no champion of the split is registered, but one of another kind, such kinds are served alone (`alone_of`); so is the
kind whose name is the role (`kinds_alone`).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.background import sentence
from crossmix.config import Config, ConfigError, documented, load
from pipelines.cli.serve import (
    NO_DATABASE,
    Start,
    check_served,
    clock_for,
    kinds_of,
    named_in,
    of_run,
    prepare,
    run_with,
)

if TYPE_CHECKING:
    from serving.app import Settings
    from serving.kinds.alone import Alone


def start_of(
    out: Path | None,
    registry: str | None,
    settings: Settings,
    folder: Path | None,
    given: Path | None,
    overrides: Sequence[str],
) -> Start | Alone:
    """What a server starts from, of a run's folder `out` or of a registry; raises as `of_run` and `of_registry`."""
    if (out is None) == (registry is None):
        raise ConfigError("OUT, --registry (CROSSMIX_REGISTRY): name the folder of a run or a registry, and not both")
    if registry is not None:
        from crossmix.registry.mlflow_door import RegistryError
        from serving.app import ALONE

        if settings.role in ALONE:
            return kinds_alone(registry, settings, folder, given, overrides)
        try:
            return of_registry(registry, settings, folder, given, overrides)
        except (ConfigError, RegistryError):  # a server without a split needs neither a database nor Redis
            alone = alone_of(registry, settings, folder, given, overrides)
            if alone is None:
                raise
            return alone
    if given is not None or out is None:
        raise ConfigError("--settings: it is for --registry; a run has its own config, --set changes it")
    return of_run(out, run_with(out, overrides), settings, folder, overrides)


def state_of(settings: Settings) -> Path:
    """The server's own folder where none is named: servers of one machine have one each."""
    return Path(tempfile.gettempdir()) / f"crossmix-{settings.role}-{settings.port}"


def of_registry(
    uri: str, settings: Settings, state: Path | None, given: Path | None, overrides: Sequence[str] = ()
) -> Start:
    """What a server of the registry's champion starts from.

    Args:
        uri: MLflow tracking URI.
        state: the server's own folder; `None`: `state_of`.
        given: file of settings (`settings_in`); of an experiment that has begun they change nothing.
        overrides: KEY=VALUE of a person, after those: an experiment that has begun must be as they say.

    Raises:
        ConfigError: settings that cannot run, a registry that is away while nothing was kept, or a champion that a
            server cannot start from.
        RegistryError: there is no champion, or it brings no features.
        BundleError: the bundle that came does not verify.
    """
    from crossmix.ledger.where import database_of
    from crossmix.registry.refusing import RefusingRegistry
    from crossmix.registry.shared import shared
    from crossmix.registry.store import Registry
    from serving import app as server
    from serving.http import logs
    from serving.live.asked import Asked
    from serving.live.awaited import telling
    from serving.live.beside import Beside
    from serving.live.champion import Champion

    settings.check()
    values = {} if given is None else settings_in(given)
    check_served(overrides)
    first = load("laptop", overrides, {**values, "registry.tracking_uri": uri})
    database, online = database_of(first.serving), _online(settings.role)
    if settings.role != "all" and database is None:
        raise ConfigError(NO_DATABASE.format(settings.role))
    own = (state or state_of(settings)).absolute()
    _writable(own)
    prepare()
    logs.write_to()
    clock = clock_for(first)
    beside, asked = Beside(own / "features", lambda: Registry.of(first, own), online), Asked()
    try:
        with telling(asked.told):
            champion = Champion(own, lambda: Registry.of(first, own).connected(), None, clock, asked)
            asked.begin(f"the features of version {champion.current.version} are fetched")
            beside.start(champion.current.version)
    except ValueError:  # our own, a sentence each
        raise
    except Exception as error:  # MLflow's stores raise their own kinds each
        why = sentence(error)
        raise ConfigError(f"--registry {uri}: it cannot be read ({why}); start it, or name another") from None
    finally:
        asked.end()
    config = server.config_of(_config(champion.current.bundle.config, first, values, overrides))
    return Start(
        config=config,
        own=own,
        champion=champion,
        registry=lambda: shared(RefusingRegistry.of(first, own), database),
        kinds=lambda kind: Registry.of(first, own, kind).connected(),
        database=database or f"sqlite:///{own / 'serving.db'}",
        features=beside.folder,
        clock=clock,
        named=named_in(overrides),
        beside=beside,
    )


def alone_of(
    uri: str, settings: Settings, state: Path | None, given: Path | None, overrides: Sequence[str] = ()
) -> Alone | None:
    """The server of a registry that has a champion of another kind and none of the split; `None`: it is not so.

    Its config is the defaults with what a server may change: several kinds have no one bundle to take it from. While
    the registry cannot be read, what such a server kept in its folder says which it is.

    Args:
        uri, state, given, overrides: as `of_registry`'s.

    Raises:
        ConfigError: settings that cannot run.
    """
    from crossmix.registry.mlflow_door import RegistryError
    from crossmix.registry.store import Registry
    from serving import app as server

    if settings.role not in server.ANSWERING:
        return None
    alone = kinds_alone(uri, settings, state, given, overrides)
    own = (state or state_of(settings)).absolute()

    def registered(kind: str) -> bool:
        try:
            Registry.of(alone.config, own, kind).get("champion")
        except RegistryError:
            return False
        return True

    try:
        there = not registered("split") and any(map(registered, alone.kinds))
    except Exception:  # MLflow's stores raise their own kinds each
        there = not (own / "bundles").is_dir() and any(one.kept for one in alone.kinds.values())
    return alone if there else None


def kinds_alone(
    uri: str, settings: Settings, state: Path | None, given: Path | None, overrides: Sequence[str] = ()
) -> Alone:
    """The server of the other kinds, or of the one whose role it has, whatever is registered: it waits for a champion.

    Args:
        uri, state, given, overrides: as `of_registry`'s.

    Raises:
        ConfigError: settings that cannot run.
    """
    from crossmix.registry.store import Registry
    from serving.http import logs
    from serving.kinds.alone import Alone

    values = {} if given is None else settings_in(given)
    check_served(overrides)
    config = load("laptop", overrides, {**values, "registry.tracking_uri": uri})
    own = (state or state_of(settings)).absolute()
    _writable(own)
    prepare()
    logs.write_to()
    clock = clock_for(config)
    return Alone(
        config, kinds_of(own, lambda kind: Registry.of(config, own, kind).connected(), clock, None, settings.role)
    )


def settings_in(file: Path) -> dict[str, Any]:
    """Dotted keys and values of a file of settings: JSON, the config's sections `serving`, `registry` and `online`.

    Raises:
        ConfigError: no such file, no JSON, or a key that a server does not take.
    """
    try:
        tree = json.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"--settings {file}: cannot be read ({error.strerror}); name a JSON file") from None
    except ValueError as error:
        raise ConfigError(f'--settings {file}: not JSON ({error}); write it as {{"serving": {{...}}}}') from None
    if not isinstance(tree, dict):
        raise ConfigError(f'--settings {file}: {type(tree).__name__}; write it as {{"serving": {{...}}}}')
    values = dict(_dotted(tree))
    check_served([f"{key}=" for key in values], f"--settings {file}")
    return values


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _config(carried: Config, first: Config, values: Mapping[str, Any], overrides: Sequence[str]) -> Config:
    """What the bundle carries, with what a server may change.

    Args:
        carried: the bundle's; of where its log lay it says nothing.
        first: has the registry's address.
    """
    tree = {**dict(documented(carried)), "data.path": "log", **values}
    whole = load(carried.preset, overrides, tree)
    return replace(whole, data=replace(whole.data, path=None), registry=first.registry)


def _online(role: str) -> dict[str, str] | None:
    """Feast's section `online_store`; `None`: SQLite in the server's own folder. Parts of a cluster share a Redis."""
    from feature_repo import redis_url

    if role == "all" and not os.environ.get(redis_url.VARIABLE):
        return None
    return redis_url.online_store()


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--state {folder}: cannot be written ({error.strerror}); name a folder that can") from None


__all__ = ["alone_of", "kinds_alone", "of_registry", "settings_in", "start_of", "state_of"]
