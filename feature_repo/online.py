"""Feast's SQLite online store, with a row of numbers kept as one row.

Feast's own keeps a database row for each of a campaign's 128 statistics: 2.5 million of them for ten thousand campaigns
of two arms, written one statement at a time. Here a view of 32-bit numbers alone has one row for each entity, its
numbers side by side, little-endian, in the view's order, NaN where one has no value; other views are kept as Feast
does. A row of another length than the view's is damaged: it is as if it were not there, and the next push replaces it.
Feast finds this store by its dotted name in `feature_store.yaml`; a folder that names Feast's own keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from feast import Entity, FeatureView
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RepoConfig
from feast.types import Float32
from feast.utils import to_naive_utc
from pydantic import StrictStr

Write = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Read = tuple[datetime | None, dict[str, Value] | None]
KEYS_AT_ONCE = 10_000
"""Of one SELECT; SQLite takes 32,766 at most."""


class RowSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):
    """Feast looks this class up by the store's name plus `Config`."""

    type: StrictStr = "feature_repo.online.RowSqliteOnlineStore"  # type: ignore[assignment]


class RowSqliteOnlineStore(SqliteOnlineStore):
    """`SqliteOnlineStore` that keeps an entity's numbers together."""

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Write], progress: Callable[[int], Any] | None
    ) -> None:
        """Write rows; each replaces its entity's."""
        if not _numbers(table):
            super().online_write_batch(config, table, data, progress)
            return
        names = [field.name for field in table.features]
        rows = []
        for key, values, moment, _ in data:
            numbers = [values[name].float_val if name in values and _given(values[name]) else np.nan for name in names]
            seconds = int(to_naive_utc(moment).replace(tzinfo=UTC).timestamp())
            rows.append((self._key(config, key), np.array(numbers, "<f4").tobytes(), seconds))
        connection = self._get_conn(config)
        with connection:
            connection.executemany(f"INSERT OR REPLACE INTO {_rows(config, table)} VALUES (?, ?, ?)", rows)
        if progress:
            progress(len(rows))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Read]:
        """Newest row of each entity, with the features asked for; `(None, None)` where there is none."""
        if not _numbers(table):
            read: list[Read] = super().online_read(config, table, entity_keys, requested_features)
            return read
        names = [field.name for field in table.features]
        places = [names.index(name) for name in (requested_features or names)]
        keys = [self._key(config, key) for key in entity_keys]
        found = dict(self._found(config, table, keys))
        size = 4 * len(names)
        return [
            _row(found[key], names, places) if key in found and len(found[key][0]) == size else (None, None)
            for key in keys
        ]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make the tables of views that are new, and drop those of views that are gone."""
        super().update(config, tables_to_delete, tables_to_keep, entities_to_delete, entities_to_keep, partial)
        connection = self._get_conn(config)
        for table in filter(_numbers, tables_to_keep):
            columns = "entity_key BLOB PRIMARY KEY, numbers BLOB NOT NULL, event_seconds INTEGER NOT NULL"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {_rows(config, table)} ({columns})")
        for table in tables_to_delete:
            connection.execute(f"DROP TABLE IF EXISTS {_rows(config, table)}")

    def _found(
        self, config: RepoConfig, table: FeatureView, keys: Sequence[bytes]
    ) -> Iterable[tuple[bytes, tuple[bytes, int]]]:
        connection = self._get_conn(config)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT * FROM {_rows(config, table)} WHERE entity_key IN ({marks})"
            for key, numbers, seconds in connection.execute(query, some):
                yield key, (numbers, seconds)

    def _key(self, config: RepoConfig, key: EntityKey) -> bytes:
        return bytes(serialize_entity_key(key, config.entity_key_serialization_version))


def _row(found: tuple[bytes, int], names: Sequence[str], places: Sequence[int]) -> Read:
    numbers = np.frombuffer(found[0], "<f4").tolist()
    values = {names[i]: Value(float_val=numbers[i]) if numbers[i] == numbers[i] else Value() for i in places}
    return datetime.fromtimestamp(found[1], UTC), values


def _numbers(table: FeatureView) -> bool:
    """Whether a view holds 32-bit numbers alone."""
    return all(field.dtype == Float32 for field in table.features)


def _given(value: Value) -> bool:
    return value.WhichOneof("val") == "float_val"


def _rows(config: RepoConfig, table: FeatureView) -> str:
    return f'"{config.project}_{table.name}_rows"'
