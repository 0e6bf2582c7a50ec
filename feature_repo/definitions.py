"""Entities, views and services of the feature store, all derived from `crossmix.state`.

Feast is imported here, so `feature_repo.features` imports this module late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Array, Bool, Float32, Float64, Int32, String

from crossmix.state import ALLOCATION
from feature_repo import sources

# Zero means that a feature never expires. A log may be years old, and an expired statistic would come back null in
# silence; how old the last state may be is for the reader of its timestamp to judge.
NEVER = timedelta(0)

ENTITIES = {
    key: Entity(name=key.removesuffix("_id"), join_keys=[key], value_type=ValueType.STRING)
    for keys in sources.KEYS.values()
    for key in keys
}
"""campaign, arm, creative and user, by join key."""


def definitions(encoders: Mapping[str, Mapping[str, Any] | None]) -> list[Any]:
    """Everything to apply, in dependency order.

    Args:
        encoders: what `encode_creatives` says it ran: modality to {name, dim, sha256}, or null.
    """
    statistics = [
        _view(view, [Field(name=name, dtype=Float32, description=ALLOCATION.fields[name].unit) for name in names])
        for view, names in sources.statistic_names().items()
    ]
    events = Field(name="events", dtype=Array(Int32), description="behaviour ids before the impression, oldest first")
    fusion = [
        _view(sources.CREATIVE_VIEW, [_embedding(modality, encoder) for modality, encoder in encoders.items()]),
        _view(sources.USER_VIEW, [events]),
    ]
    return [
        *ENTITIES.values(),
        *statistics,
        *fusion,
        FeatureService(name=sources.SERVICE_STATISTICS, features=[*statistics], tags={"layout": ALLOCATION.digest}),
        FeatureService(name=sources.SERVICE_FUSION, features=[*fusion]),
    ]


def journey_definitions(channels: Sequence[str]) -> list[Any]:
    """Everything to apply in a run of task `journeys`, in dependency order.

    Args:
        channels: names in the order of the log's.
    """
    told = {
        "channel": (Array(String), "of each exposure, the earliest first"),
        "clicked": (Array(Bool), "whether it was clicked"),
        "cost": (Array(Float64), "price paid, currency"),
        "seconds": (Array(Float64), "when it was, seconds since 1970, UTC"),
        "known": (Array(Float64), "when its conversion became known, likewise; NaN: it has none"),
    }
    fields = [Field(name=name, dtype=dtype, description=what) for name, (dtype, what) in told.items()]
    tags = {"channels": ",".join(channels)}
    return [ENTITIES["user_id"], _view(sources.JOURNEY_VIEW, fields, sources.JOURNEY_SOURCE, tags)]


def _embedding(modality: str, encoder: Mapping[str, Any] | None) -> Field:
    tags = {key: str(value) for key, value in encoder.items()} if encoder else {"name": "missing"}
    width = f"{encoder['dim']} numbers" if encoder else "always null: the log has no such modality"
    return Field(name=modality, dtype=Array(Float32), description=width, tags=tags)


def _view(
    name: str, fields: Sequence[Field], path: str | None = None, tags: Mapping[str, str] | None = None
) -> FeatureView:
    entities = [ENTITIES[key] for key in sources.KEYS[name]]
    keys = [Field(name=key, dtype=String) for key in sources.KEYS[name]]
    source = FileSource(
        name=f"{name}_source",
        path=path or sources.SOURCES[name],
        timestamp_field=sources.TIME,
        file_format=ParquetFormat(),
    )
    return FeatureView(
        name=name,
        entities=entities,
        ttl=NEVER,
        schema=[*keys, *fields],
        source=source,
        online=True,
        tags=dict(tags or {}),
    )
