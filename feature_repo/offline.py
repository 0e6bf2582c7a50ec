"""Feast's DuckDB offline store, made relocatable.

Feast 0.67 resolves a relative source path against the process's working directory when it reads (only schema inference
uses the repository's folder), and absolute paths in the registry would break when a feature folder is moved. This store
resolves them against the folder of `feature_store.yaml`. Feast finds it by its dotted name there.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

import pandas as pd
from feast import FeatureView
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.file_source import FileSource
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import RepoConfig
from pydantic import StrictStr


class RelocatableDuckDBOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Feast looks this class up by the store's name plus `Config`."""

    type: StrictStr = "feature_repo.offline.RelocatableDuckDBOfflineStore"


class RelocatableDuckDBOfflineStore(DuckDBOfflineStore):
    """`DuckDBOfflineStore` that reads relative paths from the feature folder."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        located = []
        for view in feature_views:
            view = copy.copy(view)
            if view.batch_source is not None:
                view.batch_source = _located(view.batch_source, config)
            located.append(view)
        return DuckDBOfflineStore.get_historical_features(
            config,
            located,
            feature_refs,
            entity_df,
            registry,
            project,
            full_feature_names,
            filter_by_created_timestamp,
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        return DuckDBOfflineStore.pull_latest_from_table_or_query(
            config,
            _located(data_source, config),
            join_key_columns,
            feature_name_columns,
            timestamp_field,
            created_timestamp_column,
            start_date,
            end_date,
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        **options: Any,
    ) -> RetrievalJob:
        return DuckDBOfflineStore.pull_all_from_table_or_query(
            config,
            _located(data_source, config),
            join_key_columns,
            feature_name_columns,
            timestamp_field,
            created_timestamp_column,
            start_date,
            end_date,
            **options,
        )


def _located(source: DataSource, config: RepoConfig) -> DataSource:
    """The source with its path resolved against the feature folder; the registry keeps the relative one."""
    if not isinstance(source, FileSource):
        return source
    located: FileSource = FileSource.from_proto(source.to_proto())
    located.file_options.uri = FileSource.get_uri_for_file_path(config.repo_path, source.path)
    return located
