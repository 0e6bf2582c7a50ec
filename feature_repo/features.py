"""The feature store: build it, open it, read it offline and online, push new statistics (the one door to Feast).

A feature folder is self-contained and may be moved: `feature_store.yaml`, `registry.db`, `online.db` (unless the online
store is Redis), `sources/` and `embeddings/` all lie in it and name each other by relative paths.

Services: `budget_statistics` yields the 128 statistics of `crossmix.state` in layout order by campaign and arm;
`fusion_inputs` yields creative embeddings and user sequences. A statistics row's time is the END of its cycle, so a
point-in-time join never shows a cycle before it is over.

Importing this module costs nothing; Feast (2 s) comes with the first call.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.config import Config, Fusion
from crossmix.schema import DataError, Dataset
from feature_repo import behaviour, redis_url, served, sources
from feature_repo.opened import LOCK, Described, describe, open_store, opened, store_of, write_store_config
from feature_repo.sources import LOG_ARM, SERVICE_FUSION, SERVICE_STATISTICS, TIME
from feature_repo.torn import settled

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore
    from feast.online_response import OnlineResponse
    from numpy.typing import NDArray

    Array = NDArray[Any]

Encode = Callable[[Fusion, "pd.DataFrame", Path | None], tuple["pd.DataFrame", Mapping[str, Mapping[str, Any] | None]]]
Statistics = Callable[[Dataset, Config], "pd.DataFrame"]

TOGETHER = 2_000
"""Rows that a push reads and writes online at once: Feast makes 128 objects of each, and readers wait meanwhile."""


def build(
    config: Config,
    dataset: Path,
    out: Path,
    *,
    online: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    encode: Encode | None = None,
    statistics: Statistics | None = None,
) -> dict[str, Any]:
    """Write a feature folder: embeddings, sources, registry and the online store, materialised.

    Args:
        config: the whole tree.
        dataset: folder that ingest wrote.
        out: empty folder to write into.
        online: Feast's `online_store` section; `None`: what `features.online` says. Variables in it expand when the
            store is opened.
        cache: folder of creative vectors already computed.
        encode, statistics: default to `crossmix.fusion.encoders.encode_creatives` and
            `crossmix.market.logged_states.statistics`.

    Returns:
        What `features.json` holds (`Described`), as plain data.

    Raises:
        DataError: the log's tables do not fit (a missing column, two rows of one cycle, a lost sequence).
        ConfigError: `features.online` is redis, and the environment names none.
    """
    from crossmix.state import ALLOCATION

    shared = online is None and config.features.online == "redis"
    if shared:
        online = redis_url.online_store()
    data = Dataset(dataset)
    meta = data.meta
    vectors, encoded = (encode or _default_encode())(config.fusion, data.frame("creatives"), cache)
    encoders = {modality: dict(encoder) if encoder else None for modality, encoder in encoded.items()}
    history = sources.clean_statistics(
        (statistics or _default_statistics())(data, config), len(meta.platforms), LOG_ARM
    )
    silent = sorted(set(meta.campaigns) - set(history["campaign_id"]))
    if silent:
        raise DataError(f"statistics: campaign_id {silent[0]!r} has no cycle at all; drop the campaign from the log")
    sources.write_statistics(out, history)
    rows = {
        sources.PLATFORM_VIEW: len(history),
        sources.CAMPAIGN_VIEW: len(history),
        sources.CREATIVE_VIEW: sources.write_embeddings(out, vectors, list(encoders), meta.start),
        sources.USER_VIEW: behaviour.write_sequences(out, data),
    }
    described = Described(meta.platforms, meta.campaigns, encoders, ALLOCATION.digest, rows)
    _write_json(out / "embeddings" / "encoders.json", encoders)
    write_store_config(out, online)
    # Redis is for servers, which ask for statistics alone; the log's users stay in the folder.
    _apply(out, encoders, list(sources.statistic_names()) if shared else None)
    _write_json(out / "features.json", asdict(described))
    served.write(out)
    plain: dict[str, Any] = json.loads((out / "features.json").read_text())
    return plain


def offline_states(path: Path, entity_df: pd.DataFrame) -> pd.DataFrame:
    """Statistics as they were known at each row's time.

    Args:
        path: feature folder.
        entity_df: campaign_id, arm, event_timestamp; further columns pass through.

    Returns:
        The rows in the order given, with the 128 statistics in layout order, float32. Before the first cycle of its
        campaign and arm is over a row is NaN throughout, which `Layout.encode` reads as "no observation yet".

    Raises:
        DataError: a column is missing, or a campaign and arm has no statistics at any time.
    """
    from crossmix.state import ALLOCATION

    keys = sources.KEYS[sources.PLATFORM_VIEW]
    _require_columns(entity_df, keys)
    known = sources.known_arms(Path(path))
    for pair in entity_df[list(keys)].drop_duplicates().itertuples(index=False, name=None):
        if pair not in known:
            raise _unknown(known, *pair)
    joined = _historical(path, SERVICE_STATISTICS, entity_df)
    names = list(ALLOCATION.names)
    return joined[[*entity_df.columns, *names]].astype(dict.fromkeys(names, "float32"))


def offline_fusion_inputs(path: Path, entity_df: pd.DataFrame) -> pd.DataFrame:
    """Embeddings and behaviour at each row's time, in the order given.

    `entity_df` has user_id, creative_id, event_timestamp. Adds image and text (float32 arrays, or `None` where the
    creative has no such modality) and events (int arrays, empty where the user had no history).
    """
    _require_columns(entity_df, ("user_id", "creative_id"))
    joined = _historical(path, SERVICE_FUSION, entity_df)
    return _as_arrays(joined, list(describe(path).encoders))


def online_statistics(path: Path, campaign_id: Sequence[str], arm: str = LOG_ARM) -> Array:
    """The newest statistics of each campaign's arm: (n, 128) float32 in layout order, clamped as `Layout.clamp` does.

    Raises `DataError` for a campaign without statistics in this arm, naming it and the known ones.
    """
    values, seconds = online_known(path, campaign_id, arm)
    for campaign, second in zip(campaign_id, seconds, strict=True):
        if not second:
            raise _unknown(sources.known_arms(Path(path)), campaign, arm)
    return values


def online_known(path: Path, campaign_id: Sequence[str], arm: str = LOG_ARM) -> tuple[Array, list[float]]:
    """As `online_statistics`, and the seconds (UTC) at which each row's cycle ended: 0 where there are none yet."""
    return settled(
        list(campaign_id),
        lambda names: _rows_online(path, names, arm),
        lambda names: list(_newest(path, {"campaign_id": list(names), "arm": [arm] * len(names)}).values()),
    )


def online_fusion_inputs(path: Path, user_id: Sequence[str], creative_id: Sequence[str]) -> pd.DataFrame:
    """Embeddings and newest behaviour of (user, creative) pairs; columns as in `offline_fusion_inputs`.

    A user without history gets an empty sequence. Raises `DataError` for a creative that was never encoded.
    """
    import pandas as pd

    entities = {"user_id": list(user_id), "creative_id": list(creative_id)}
    values = _asked(path, opened(path).services[SERVICE_FUSION], entities).to_dict(include_event_timestamps=True)
    modalities = list(describe(path).encoders)
    for creative, stamp in zip(creative_id, values[f"{modalities[0]}__ts"], strict=True):
        if not stamp:
            raise DataError(f"creative_id: {creative!r} was never encoded; build the features from a log that has it")
    found = {name: pd.Series(values[name], dtype=object) for name in (*modalities, "events")}
    return _as_arrays(pd.DataFrame(entities | found), modalities)


def push_statistics(
    path: Path,
    frame: pd.DataFrame,
    noted: Callable[[], Mapping[tuple[str, str], float]] | None = None,
    *,
    offline: bool = True,
) -> dict[str, int]:
    """Add statistics of finished cycles, offline and online.

    Offline every row is kept; one with the campaign, arm and time of an older one replaces it, so a push may be
    repeated. Online a row is written unless a newer one is there already.

    Args:
        path: feature folder; pushes of several processes on one machine wait for one another.
        frame: campaign_id, arm, event_timestamp (the end of the cycle) and the 128 statistics.
        noted: asked while all others wait: by campaign and arm, the seconds (UTC) of the newest row that the caller's
            database knows of. What is newer than that and than the frame was pushed by a clock that ran ahead, or is
            another database's: it is taken back, offline and online. `None`: it stays.
        offline: false where the folder is a server's own, and the ledger keeps what finished cycles brought.

    Returns:
        {"offline": rows kept, "online": rows written}.

    Raises:
        DataError: the frame does not fit; then nothing is written.
    """
    path = Path(path)
    keys = list(sources.KEYS[sources.PLATFORM_VIEW])
    rows = sources.clean_statistics(frame, len(describe(path).platforms))
    if rows.empty:
        return {"offline": 0, "online": 0}
    newest = rows.drop_duplicates(keys, keep="last").reset_index(drop=True)
    with sources.locked(path):
        store = open_store(path)
        seconds = newest[TIME].map(lambda moment: moment.timestamp()).to_numpy()
        last = [math.inf] * len(newest)
        if noted is not None:
            known = noted()
            pairs = newest[keys].itertuples(index=False, name=None)
            last = [max(second, known.get(pair, 0.0)) for second, pair in zip(seconds, pairs, strict=True)]
        if offline:
            sources.append_statistics(path, rows, newest[keys].assign(last=last))
        parts = (slice(start, start + TOGETHER) for start in range(0, len(newest), TOGETHER))
        written = sum(_push_online(path, store, newest[part], seconds[part], last[part]) for part in parts)
    return {"offline": len(rows) if offline else 0, "online": written}


def seed(path: Path) -> int:
    """Write the log's statistics online where the store has none or older ones; how many campaigns' were.

    An online store that is new gets its tables first. Raises `DataError` where the folder is none, and what Feast and
    its store raise where that is away.
    """
    with sources.locked(path):
        store = open_store(path)
        views = [store.get_feature_view(name) for name in sources.statistic_names()]
        with LOCK:
            store._get_provider().update_infra(store.project, [], views, [], [], True)
        rows = served.log_rows(path)
        seconds = rows[TIME].map(lambda moment: moment.timestamp()).to_numpy()
        known = _newest(path, {key: rows[key].tolist() for key in served.KEYS}).values()
        late = [int(second) > min(there) for second, *there in zip(seconds, *known, strict=True)]
        rows, seconds = rows[late], seconds[late]
        parts = (slice(start, start + TOGETHER) for start in range(0, len(rows), TOGETHER))
        return sum(
            _push_online(path, store, rows[part], seconds[part], [math.inf] * len(seconds[part])) for part in parts
        )


def _push_online(
    path: Path, store: FeatureStore, newest: pd.DataFrame, seconds: Sequence[float], last: Sequence[float]
) -> int:
    """Write rows online unless newer ones to be believed are there; how many were written.

    Args:
        newest: of each campaign's arm one row.
        seconds: their times.
        last: seconds beyond which what is there is taken back.
    """
    keys = list(sources.KEYS[sources.PLATFORM_VIEW])
    times = _newest(path, {key: newest[key].tolist() for key in keys})
    for view, names in sources.statistic_names().items():
        there = zip(seconds, times[view], last, strict=True)
        fresh = newest[[second >= was or was > most for second, was, most in there]]
        if len(fresh):
            with LOCK:
                store.write_to_online_store(view, fresh[[*keys, TIME, *names]])
    return len(fresh)


def _default_encode() -> Encode:
    from crossmix.fusion.encoders import encode_creatives

    return encode_creatives


def _default_statistics() -> Statistics:
    from crossmix.market.logged_states import statistics

    return statistics


def _apply(out: Path, encoders: Mapping[str, Mapping[str, Any] | None], views: list[str] | None) -> None:
    """Register the definitions and copy each entity's newest row of some views, or of all, to the online store."""
    from datetime import timedelta

    store = store_of(out)
    from feature_repo.definitions import definitions  # after Feast

    times = behaviour.span(out)
    assert times is not None, "there are statistics of every campaign"
    # A day to either side: Feast compares the range with times in the machine's own zone.
    first, last = times[0] - timedelta(days=1), times[1] + timedelta(days=1)
    with redirect_stdout(io.StringIO()):  # Feast prints what it does in colours; what fails, raises
        store.apply(definitions(encoders))
        names = list(sources.SOURCES) if views is None else views
        store.materialize(first, last, feature_views=[name for name in names if name != sources.USER_VIEW])
    if sources.USER_VIEW in names:
        # Feast would sort every impression's history, and make objects of all users at once.
        for rows in behaviour.newest(out, TOGETHER):
            store.write_to_online_store(sources.USER_VIEW, rows)
        store.registry.apply_materialization(
            store.get_feature_view(sources.USER_VIEW), store.project, first.to_pydatetime(), last.to_pydatetime()
        )


def _historical(path: Path, service: str, entity_df: pd.DataFrame) -> pd.DataFrame:
    """Point-in-time join; the rows come back in the order given, none lost and none twice."""
    import numpy as np

    store = opened(path)
    order = "__row"
    entities = entity_df.reset_index(drop=True).assign(**{TIME: lambda f: sources.utc(f[TIME], TIME)})
    entities[order] = np.arange(len(entities))
    with LOCK:
        joined = store.store.get_historical_features(entity_df=entities, features=store.services[service]).to_df()
    joined = joined.sort_values(order, ignore_index=True)
    if not np.array_equal(joined[order].to_numpy(), np.arange(len(entities))):
        raise DataError(f"{service}: {len(entities)} rows asked, {len(joined)} came; the feature folder is damaged")
    return joined.drop(columns=order)


def _asked(path: Path, features: FeatureService | list[str], entities: Mapping[str, list[str]]) -> OnlineResponse:
    """Feast's answer. Statistics are taken from its `proto` as they come: `to_dict` takes as long again."""
    store = opened(path).store
    with LOCK:
        return store.get_online_features(features=features, entity_rows=dict(entities))


def _rows_online(path: Path, names: Sequence[str], arm: str) -> tuple[Array, list[float], list[float]]:
    """Values (n, 128) in layout order, and the seconds of the platforms' and of the campaign's row of each."""
    import numpy as np

    from crossmix.state import ALLOCATION

    if not len(names):
        return np.empty((0, ALLOCATION.statistics_size), np.float32), [], []
    entities = {"campaign_id": list(names), "arm": [arm] * len(names)}
    answer = _asked(path, opened(path).services[SERVICE_STATISTICS], entities).proto
    columns = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
    values_XN = [[value.float_val for value in columns[name].values] for name in ALLOCATION.names]
    first, second = (_stamps(columns[of_view[0]]) for of_view in sources.statistic_names().values())
    return np.ascontiguousarray(np.asarray(values_XN, np.float32).T), first, second


def _stamps(column: Any) -> list[float]:
    """Seconds of the event times; 0 where the store has no row."""
    return [float(stamp.seconds) for stamp in column.event_timestamps]


def _newest(path: Path, entities: Mapping[str, list[str]]) -> dict[str, list[float]]:
    """By view of statistics, the seconds of the newest rows' times: one number of each row is read, not all."""
    firsts = {view: names[0] for view, names in sources.statistic_names().items()}
    answer = _asked(path, [f"{view}:{name}" for view, name in firsts.items()], entities).proto
    columns = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
    return {view: _stamps(columns[name]) for view, name in firsts.items()}


def _as_arrays(frame: pd.DataFrame, modalities: Sequence[str]) -> pd.DataFrame:
    import numpy as np

    def array(value: Any, dtype: str) -> Any:
        return None if value is None or np.ndim(value) == 0 else np.asarray(value, dtype=dtype)

    for name in modalities:
        frame[name] = [array(value, "float32") for value in frame[name]]
    frame["events"] = [np.empty(0, "int32") if (v := array(value, "int32")) is None else v for value in frame["events"]]
    return frame


def _require_columns(frame: pd.DataFrame, keys: Sequence[str]) -> None:
    missing = [name for name in (*keys, TIME) if name not in frame.columns]
    if missing:
        raise DataError(f"entity_df: column {missing[0]!r} is missing; pass {', '.join(keys)} and {TIME}")


def _unknown(known: set[tuple[str, str]], campaign: str, arm: str) -> DataError:
    campaigns = sorted({name for name, other in known if other == arm})
    if campaigns:
        return DataError(f"campaign_id: {campaign!r} has no statistics in arm {arm!r}; known: {', '.join(campaigns)}")
    arms = sorted({other for _, other in known})
    return DataError(f"arm: {arm!r} has no statistics of any campaign yet; push some, or use {', '.join(arms)}")


def _write_json(path: Path, tree: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=2, sort_keys=True) + "\n")
