"""A feature folder's Feast store: its settings, what the folder says of itself, and opening it once per process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from crossmix.config import ConfigError
from crossmix.schema import DataError
from feature_repo import redis_url
from feature_repo.feast_import import import_feast
from feature_repo.sources import SERVICE_FUSION, SERVICE_STATISTICS

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

TEMPLATE = Path(__file__).with_name("feature_store.yaml")


@dataclass(frozen=True, slots=True)
class Described:
    """What a feature folder says of itself (features.json)."""

    platforms: tuple[str, ...]
    campaigns: tuple[str, ...]
    encoders: dict[str, dict[str, Any] | None]
    layout: str
    """`Layout.digest` of the layout the statistics were written in."""
    rows: dict[str, int]
    """Rows offline, by view."""


def write_store_config(out: Path, online: Mapping[str, Any] | None = None) -> None:
    """Write `feature_store.yaml` from the template, with another online store where one is given.

    Raises `ConfigError` where the online store has no type.
    """
    import yaml

    if online is None:
        (out / TEMPLATE.name).write_text(TEMPLATE.read_text())
        return
    if "type" not in online:
        raise ConfigError(f"online: {dict(online)!r} has no type; name one, such as redis or sqlite")
    tree = {**yaml.safe_load(TEMPLATE.read_text()), "online_store": dict(online)}
    (out / TEMPLATE.name).write_text(yaml.safe_dump(tree, sort_keys=False))


@dataclass(frozen=True, slots=True)
class Opened:
    store: FeatureStore
    services: dict[str, FeatureService]
    """Kept: `get_feature_service` reads the registry anew, which voids Feast's caches (40 ms a read instead of 2.4)."""


_STORES: dict[tuple[Path, int, int], Opened] = {}
LOCK = RLock()


def open_store(path: Path) -> FeatureStore:
    """The folder's Feast store; opened once per process and folder, again when the folder was rebuilt.

    Raises `DataError` where there is no feature folder or its statistics have another layout than this code's.
    """
    return opened(path).store


def opened(path: Path) -> Opened:
    path = Path(path).resolve()
    registry = path / "registry.db"
    if not registry.is_file():
        raise DataError(f"features: {path} holds no registry.db; pass a folder that the features step wrote")
    stamp = registry.stat()
    key = (path, stamp.st_ino, stamp.st_mtime_ns)
    with LOCK:
        if key not in _STORES:
            _check_layout(path)
            for stale in [other for other in _STORES if other[0] == path]:
                del _STORES[stale]
            store = store_of(path)
            names = (SERVICE_STATISTICS, SERVICE_FUSION)
            _STORES[key] = Opened(store, {name: store.get_feature_service(name) for name in names})
        return _STORES[key]


def describe(path: Path) -> Described:
    """What the folder says of itself."""
    raw = json.loads((Path(path) / "features.json").read_text())
    return Described(**{**raw, "platforms": tuple(raw["platforms"]), "campaigns": tuple(raw["campaigns"])})


def store_of(path: Path) -> FeatureStore:
    import_feast()
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(path))
    online = store.config.online_store
    if hasattr(online, "connection_string"):
        online.connection_string = redis_url.feast_form(online.connection_string)
    if hasattr(online, "skip_dedup"):
        # Redis would leave out a row of the time of the one that is there, and a cycle's statistics are made again when
        # late events come; `push_statistics` itself says what may be written.
        online.skip_dedup = True
    return store


def _check_layout(path: Path) -> None:
    from crossmix.state import ALLOCATION

    if describe(path).layout != ALLOCATION.digest:
        raise DataError(
            f"features: {path} was written in state layout {describe(path).layout[:12]}, this code has "
            f"{ALLOCATION.digest[:12]}; run the features step again"
        )
