"""Users' last exposures in the feature store: written by a run of task `journeys`, read by the server of that run.

    FEATURES/journeys.json                     what the folder says of itself
    FEATURES/feature_store.yaml, registry.db   Feast's
    FEATURES/sources/user_journeys.parquet     of each user one row, at the time of the last exposure
    FEATURES/online.db                         the same, materialised

Kept are so many exposures of a user that every step which a model reads has the summaries that training saw:
`data.sequence_length` + `journeys.window` - 1. All users of the log are in it, also those that no fit may see; they
stay in the folder whatever `features.online` says: Redis is for servers of a split, which ask for statistics alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix import files
from crossmix.config import Config
from crossmix.journeys.later import refuse
from crossmix.journeys.log import Events, read
from crossmix.schema import DataError, Dataset
from feature_repo.features import TOGETHER
from feature_repo.opened import LOCK, store_of, write_store_config
from feature_repo.sources import JOURNEY_SOURCE, JOURNEY_VIEW, TIME, schema_of, write

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "journeys.json"
COLUMNS = ("channel", "clicked", "cost", "seconds", "known")
"""Of an exposure, as `Exposures` has them."""


@dataclass(frozen=True, slots=True)
class Exposures:
    """A user's last exposures, the earliest first."""

    channel: tuple[str, ...]
    clicked: tuple[bool, ...]
    cost: tuple[float, ...]
    """Currency."""
    seconds: tuple[float, ...]
    """Since 1970, UTC."""
    known: tuple[float | None, ...]
    """When the conversion became known, likewise; `None`: there is none."""


def build(config: Config, dataset: Path, out: Path) -> dict[str, Any]:
    """Write the feature folder of a log: source, registry and the online store, materialised.

    Args:
        config: its `data.sequence_length` and `journeys.window` say how many exposures are kept.
        dataset: folder that ingest wrote.
        out: empty folder to write into.

    Returns:
        What `journeys.json` holds: channels, users, exposures kept, and the most of one user.

    Raises:
        JourneyError: the dataset is a spend history, which has no users.
    """
    events, most = read(Dataset(dataset)), config.data.sequence_length + config.journeys.window - 1
    table = newest(events, most)
    write(table, out / JOURNEY_SOURCE)
    write_store_config(out)
    _apply(out, table, events.channels)
    kept = int(sum(len(row) for row in table.column("seconds")))
    said = {"channels": list(events.channels), "users": table.num_rows, "exposures": kept, "most": most}
    files.write_json(out / FILE, said)
    return said


def newest(events: Events, most: int) -> pa.Table:
    """The view's rows: of each user the last exposures, at most `most`, at the time of the last of them.

    Raises:
        JourneyError: one of `COLUMNS` is written later than it would be used.
    """
    import pyarrow as pa

    refuse(COLUMNS)
    user, first, count = np.unique(events.user_R, return_index=True, return_counts=True)
    kept, end = np.minimum(count, most), first + count
    offsets = np.concatenate([[0], np.cumsum(kept)])
    row = np.arange(offsets[-1]) + np.repeat(end - kept - offsets[:-1], kept)
    known = np.where(np.isfinite(events.known_R), events.known_R, np.nan)
    columns = {
        "channel": np.asarray(events.channels, object)[events.channel_R[row]],
        "clicked": events.clicked_R[row],
        "cost": events.cost_R[row],
        "seconds": events.seconds_R[row],
        "known": known[row],
    }
    kinds = (pa.string(), pa.bool_(), pa.float64(), pa.float64(), pa.float64())
    schema = schema_of(JOURNEY_VIEW, [(name, pa.list_(kind)) for name, kind in zip(COLUMNS, kinds, strict=True)])
    micros = np.rint(events.seconds_R[end - 1] * 1e6).astype(np.int64)
    lists = [
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(columns[name], kind))
        for name, kind in zip(COLUMNS, kinds, strict=True)
    ]
    names = pa.array(np.asarray(events.users, object)[user], pa.string())
    return pa.Table.from_arrays([names, pa.array(micros, schema.field(TIME).type), *lists], schema=schema)


def held(folder: Path | None) -> bool:
    """Whether a feature folder has users' exposures."""
    return folder is not None and (Path(folder) / FILE).is_file()


class UserJourneys:
    """The folder's online store; threads may share it.

    Args:
        folder: that `build` wrote.

    Raises:
        DataError: it is none.
    """

    def __init__(self, folder: Path) -> None:
        if not held(folder):
            raise DataError(f"features: {folder} holds no {FILE}; pass a folder that a run of task journeys wrote")
        self.folder = Path(folder)
        with LOCK:
            self._store = store_of(self.folder)

    def of(self, users: Sequence[str]) -> list[Exposures | None]:
        """Exposures of each user, `None` of one that the store does not know; raises what the store raises."""
        if not users:
            return []
        with LOCK:
            answer = self._store.get_online_features(
                features=[f"{JOURNEY_VIEW}:{name}" for name in COLUMNS], entity_rows=[{"user_id": one} for one in users]
            ).proto
        columns = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
        return [_row([columns[name].values[at] for name in COLUMNS]) for at in range(len(users))]


def _row(values: Sequence[Any]) -> Exposures | None:
    kinds = [one.WhichOneof("val") for one in values]
    if None in kinds:
        return None
    channel, clicked, cost, seconds, known = (
        tuple(getattr(one, kind).val) for one, kind in zip(values, kinds, strict=True)
    )
    # A list of Feast's has no nulls.
    return Exposures(channel, clicked, cost, seconds, tuple(None if math.isnan(one) else one for one in known))


def _apply(out: Path, table: pa.Table, channels: Sequence[str]) -> None:
    """Register the view, and copy its rows to the online store."""
    from datetime import UTC, datetime

    store = store_of(out)
    from feature_repo.definitions import journey_definitions  # after Feast

    with redirect_stdout(io.StringIO()):  # Feast prints what it does in colours; what fails, raises
        store.apply(journey_definitions(channels))
    for start in range(0, table.num_rows, TOGETHER):
        store.write_to_online_store(JOURNEY_VIEW, table.slice(start, TOGETHER).to_pandas())
    if table.num_rows:
        seconds = table.column(TIME).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
        first, last = (datetime.fromtimestamp(one, UTC) for one in (seconds.min(), seconds.max()))
        view = store.get_feature_view(JOURNEY_VIEW)
        store.registry.apply_materialization(view, store.project, first, last)
