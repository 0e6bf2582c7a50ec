"""What a server needs of a feature folder, small enough to lie beside the bundle in the registry.

    FEATURES/served/features.json          what the folder says of itself
    FEATURES/served/registry.db            Feast's registry: entities, views and services
    FEATURES/served/sources/*.parquet      of each campaign the log's newest statistics

With a `feature_store.yaml` of its own (`features.write_store_config`) it is a feature folder to read online and to push
to, which is all that a server does. `features.seed` writes the log's statistics into its online store.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo import sources
from feature_repo.sources import LOG_ARM, TIME

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "served"
FILES = ("features.json", "registry.db", *(sources.SOURCES[view] for view in sources.statistic_names()))
KEYS = list(sources.KEYS[sources.PLATFORM_VIEW])
"""Of both views of statistics."""


def write(folder: Path) -> None:
    """Write `served/` into a finished feature folder."""
    import pyarrow.parquet as pq

    out = folder / FOLDER
    for name in FILES:
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix != ".parquet":
            shutil.copyfile(folder / name, target)
            continue
        table = pq.read_table(folder / name)
        rows = table.select([*KEYS, TIME]).to_pandas().sort_values(TIME, kind="stable")
        newest = rows.drop_duplicates(KEYS, keep="last").index.sort_values()
        sources.write(table.take(newest.to_numpy()), target)


def log_rows(folder: Path) -> pd.DataFrame:
    """campaign_id, arm, event_timestamp and the 128 statistics of the log in a feature folder."""
    import pandas as pd

    views = [pd.read_parquet(folder / sources.SOURCES[view]) for view in sources.statistic_names()]
    rows = views[0].merge(views[1], on=[*KEYS, TIME], validate="one_to_one")
    newest = rows.sort_values(TIME, kind="stable").drop_duplicates(KEYS, keep="last")
    return newest[newest["arm"] == LOG_ARM].reset_index(drop=True)
