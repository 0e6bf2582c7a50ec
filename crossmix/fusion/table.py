"""The impressions as arrays: what the fusion trains on and predicts, read from a `Dataset` and its features folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.schema import DataError, Dataset, behaviour_vocabulary

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# One in so many fitted users is kept from the heads: their predictions are as sharp as those of new users, and the
# market resamples contexts from them.
RESERVE = 5


@dataclass(frozen=True, slots=True)
class Creatives:
    """Encoder vectors by creative; the last row stands for "no creative" and holds zeros."""

    ids: tuple[str, ...]
    image: NDArray[np.float32] | None
    """(creatives + 1, width), or `None` where no creative has an image."""
    text: NDArray[np.float32] | None
    has: Flags
    """(creatives + 1, 2): has an image, has a copy."""
    encoders: dict[str, Any]
    """encoders.json of the features step."""


@dataclass(frozen=True, slots=True)
class Table:
    """One row per impression, in the dataset's order."""

    impression_id: NDArray[Any]
    user: Ints
    """A number per user."""
    campaign: Ints
    """Index into `campaigns`."""
    cycle: Ints
    platform: Ints
    """Index into meta.platforms."""
    creative: Ints
    """Row of `Creatives`."""
    events: NDArray[Any]
    """(rows, steps) behaviour ids, the newest last, zeros before the oldest."""
    clicked: Flags
    converted: Flags
    train: Flags
    """Training period, user neither held out nor kept from the heads."""
    calibrate: Flags
    """Validation period, user not held out."""
    judge: Flags
    """Validation or test period, user held out."""
    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]
    vocabulary: int
    creatives: Creatives

    def present(self) -> Flags:
        """(rows, 3): image, text, behaviour."""
        return np.column_stack([self.creatives.has[self.creative], self.events[:, -1] > 0])


def read(dataset: Path, features: Path, steps: int) -> Table:
    """Read both folders; `steps` is the longest behaviour sequence.

    Raises `DataError` where a file or column is missing, or the two folders do not fit together.
    """
    import pandas as pd

    data = Dataset(dataset)
    meta = data.meta
    columns = [
        "impression_id",
        "user_id",
        "campaign_id",
        "creative_id",
        "platform",
        "clicked",
        "converted",
        "cycle",
        "split",
    ]
    try:
        frame = data.frame("impressions", [*columns, "holdout"])
    except (OSError, ValueError) as error:
        raise DataError(f"impressions: {_first(error)}; run ingest again") from None
    if frame.empty:
        raise DataError("impressions: 0 rows; there is nothing to fit, check the quarantine table of ingest")
    creatives = read_creatives(features)
    platform = _index("platform", frame["platform"], meta.platforms)
    creative = _lookup(frame["creative_id"], creatives.ids)
    unknown = frame["creative_id"].notna().to_numpy() & (creative == len(creatives.ids))
    if unknown.any():
        raise DataError(
            f"impressions.creative_id: {frame['creative_id'][unknown].iloc[0]!r} has no row in "
            "embeddings/creatives.parquet; run the features step on the same dataset"
        )
    split, held = frame["split"].to_numpy(), frame["holdout"].to_numpy(dtype=bool)
    reserved = pd.util.hash_array(frame["user_id"].to_numpy(dtype=object)) % RESERVE == 0
    vocabulary = behaviour_vocabulary(len(meta.platforms))
    return Table(
        impression_id=frame["impression_id"].to_numpy(),
        user=pd.factorize(frame["user_id"])[0].astype(np.int64),
        campaign=_index("campaign_id", frame["campaign_id"], meta.campaigns),
        cycle=frame["cycle"].to_numpy(dtype=np.int64),
        platform=platform,
        creative=creative,
        events=_events(dataset / "sequences.parquet", frame["impression_id"].to_numpy(), steps, vocabulary),
        clicked=frame["clicked"].to_numpy(dtype=bool),
        converted=frame["converted"].to_numpy(dtype=bool),
        train=(split == "train") & ~held & ~reserved,
        calibrate=(split == "validation") & ~held,
        judge=(split != "train") & held,
        campaigns=tuple(meta.campaigns),
        platforms=tuple(meta.platforms),
        vocabulary=vocabulary,
        creatives=creatives,
    )


def read_creatives(features: Path) -> Creatives:
    """Vectors and encoders that the features step wrote; raises `DataError` where they are missing or ragged."""
    import pandas as pd

    folder = features / "embeddings"
    try:
        frame = pd.read_parquet(folder / "creatives.parquet", columns=["creative_id", "image", "text"])
        encoders = json.loads((folder / "encoders.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"embeddings: {_first(error)}; run the features step") from None
    image, has_image = _matrix("image", frame["image"])
    text, has_text = _matrix("text", frame["text"])
    return Creatives(
        ids=tuple(frame["creative_id"].astype(str)),
        image=image,
        text=text,
        has=np.column_stack([has_image, has_text]),
        encoders={name: encoders.get(name) for name in ("image", "text")},
    )


def _matrix(name: str, column: Any) -> tuple[NDArray[np.float32] | None, Flags]:
    """(rows + 1, width) with zeros where null, and which rows are there."""
    there = np.append(column.notna().to_numpy(dtype=bool), False)
    widths = {len(vector) for vector in column[there[:-1]]}
    if not widths:
        return None, there
    if len(widths) > 1:
        raise DataError(
            f"embeddings.{name}: vectors of {sorted(widths)} numbers; encode all creatives with one encoder"
        )
    matrix = np.zeros((len(column) + 1, widths.pop()), dtype=np.float32)
    matrix[there] = np.stack(column[there[:-1]].to_list())
    return matrix, there


def _lookup(column: Any, names: tuple[str, ...]) -> Ints:
    """Position of each value in `names`, len(names) where it is null or unknown."""
    import pandas as pd

    index = pd.Index(names, dtype=object).get_indexer(column.astype(object))
    return np.where(index < 0, len(names), index).astype(np.int64)


def _index(field: str, column: Any, names: tuple[str, ...]) -> Ints:
    index = _lookup(column, names)
    if (index == len(names)).any():
        value = column[index == len(names)].iloc[0]
        raise DataError(f"impressions.{field}: {value!r} is not among meta.json's {list(names)}; run ingest again")
    return index


def _events(path: Path, impression_id: NDArray[Any], steps: int, vocabulary: int) -> NDArray[Any]:
    """(rows, steps) ids in the order of `impression_id`: the newest `steps`, right-aligned, zeros before."""
    import pandas as pd
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path, columns=["impression_id", "events"])
    except (OSError, ValueError) as error:
        raise DataError(f"sequences: {_first(error)}; run ingest again") from None
    ids = table["impression_id"].to_pandas().to_numpy()
    lists = table["events"].combine_chunks()
    flat = np.asarray(lists.flatten(), dtype=np.int64)
    length = np.asarray(lists.value_lengths().fill_null(0), dtype=np.int64)
    if flat.size and (flat.min() < 1 or flat.max() >= vocabulary):
        raise DataError(
            f"sequences.events: ids {flat.min()} to {flat.max()}, want 1 to {vocabulary - 1}; run ingest again"
        )
    end = np.cumsum(length)
    column = steps - np.repeat(end, length) + np.arange(flat.size)
    row = np.repeat(np.arange(len(ids)), length)
    padded = np.zeros((len(ids), steps), dtype=np.uint8 if vocabulary <= 256 else np.int32)
    newest = column >= 0
    padded[row[newest], column[newest]] = flat[newest]
    if len(ids) == len(impression_id) and (ids == impression_id).all():
        return padded
    row = pd.Index(ids).get_indexer(impression_id)
    if (row < 0).any():
        raise DataError(
            f"sequences.impression_id: {impression_id[row < 0][0]!r} "
            "has no sequence (an empty one is []); run ingest again"
        )
    aligned: NDArray[Any] = padded[row]
    return aligned


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
