"""The impressions as arrays: what the fusion trains on and predicts, read from a `Dataset` and its features folder."""

from __future__ import annotations

import json
import logging
import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.schema import ROWS, SPLITS, DataError, Dataset, behaviour_vocabulary
from crossmix.sequences import OtherOrderError, side_by_side

_log = logging.getLogger(__name__)

Codes = NDArray[np.signedinteger[Any]]
"""Small integers; whoever computes with them or indexes by them widens a batch at a time."""
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
    """One row per impression, in the dataset's order: some 20 bytes and one for each behaviour step.

    Names stay in the dataset: whoever writes them reads them again, batch by batch.
    """

    user: NDArray[np.int32]
    """A number per user, in the order in which they first appear."""
    campaign: Codes
    """Index into `campaigns`."""
    cycle: NDArray[np.int32]
    platform: Codes
    """Index into meta.platforms."""
    creative: Codes
    """Row of `Creatives`."""
    events: NDArray[np.integer[Any]]
    """(rows, steps) behaviour ids, the newest last, zeros before the oldest; a byte each while they fit one."""
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

    def present(self, rows: slice | NDArray[np.integer[Any]]) -> Flags:
        """(of those rows, 3): image, text, behaviour."""
        return np.column_stack([self.creatives.has[self.creative[rows]], self.events[rows, -1] > 0])

    def modalities(self) -> Flags:
        """(3,): which of image, text, behaviour any row has."""
        there = np.zeros(3, dtype=bool)
        for start in range(0, len(self.creative), ROWS):
            there |= self.present(slice(start, start + ROWS)).any(axis=0)
        return there

    def without_events(self) -> Table:
        """The same without histories, which are most of it: nobody reads them once all rows are predicted."""
        return replace(self, events=np.zeros((0, self.events.shape[1]), self.events.dtype))


def read(dataset: Path, features: Path, steps: int) -> Table:
    """Read both folders, the dataset batch by batch; `steps` is the longest behaviour sequence.

    Raises `DataError` where a file or column is missing, or the two folders do not fit together.
    """
    data = Dataset(dataset)
    meta = data.meta
    try:
        rows = _rows(data)
        user, reserved = _users(data, rows)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"impressions: {_first(error)}; run ingest again") from None
    if not rows:
        raise DataError("impressions: 0 rows; there is nothing to fit, check the quarantine table of ingest")
    creatives = read_creatives(features)
    names = {"platform": meta.platforms, "creative_id": creatives.ids, "campaign_id": meta.campaigns}
    columns = _columns(data, rows, names)
    split = columns.pop("split")
    fitted = ~columns["holdout"]
    vocabulary = behaviour_vocabulary(len(meta.platforms))
    return Table(
        user=user,
        campaign=columns["campaign_id"],
        cycle=columns["cycle"],
        platform=columns["platform"],
        creative=columns["creative_id"],
        events=_events(data, rows, steps, vocabulary),
        clicked=columns["clicked"],
        converted=columns["converted"],
        train=(split == SPLITS.index("train")) & fitted & ~reserved,
        calibrate=(split == SPLITS.index("validation")) & fitted,
        judge=(split != SPLITS.index("train")) & columns["holdout"],
        campaigns=tuple(meta.campaigns),
        platforms=tuple(meta.platforms),
        vocabulary=vocabulary,
        creatives=creatives,
    )


def _rows(data: Dataset) -> int:
    import pyarrow.parquet as parquet

    return sum(int(parquet.read_metadata(part).num_rows) for part in data.parts("impressions"))


def _users(data: Dataset, rows: int) -> tuple[NDArray[np.int32], Flags]:
    """Numbers in the order in which users first appear, and which rows' users are kept from the heads, (rows,) each."""
    import pandas as pd
    import pyarrow as pa

    names = [batch.column("user_id").cast(pa.string()) for batch in data.batches("impressions", ["user_id"])]
    encoded = pa.chunked_array(names, pa.string()).dictionary_encode()
    del names
    code, start = np.empty(rows, dtype=np.int32), 0
    for chunk in encoded.iterchunks():
        code[start : start + len(chunk)] = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        start += len(chunk)
    known = encoded.chunk(encoded.num_chunks - 1).dictionary if encoded.num_chunks else pa.array([], pa.string())
    del encoded
    reserved = np.zeros(len(known) + 1, dtype=bool)  # the last one: no user
    for start in range(0, len(known), ROWS):
        part = known.slice(start, ROWS).to_numpy(zero_copy_only=False).astype(object)
        reserved[start : start + len(part)] = pd.util.hash_array(part) % RESERVE == 0
    return code, reserved[code]


def _columns(data: Dataset, rows: int, names: dict[str, tuple[str, ...]]) -> dict[str, NDArray[Any]]:
    """Columns of the impressions as small integers and flags, (rows,) each.

    Args:
        names: column to what its values are numbered by; a creative that is null gets the number after the last.

    Raises:
        DataError: a column is missing, or a value is not among its names.
    """
    import pyarrow as pa
    import pyarrow.compute as compute

    out: dict[str, NDArray[Any]] = {name: np.empty(rows, dtype=_small(len(known))) for name, known in names.items()}
    out |= {name: np.empty(rows, dtype=bool) for name in ("clicked", "converted", "holdout")}
    out |= {"cycle": np.empty(rows, dtype=np.int32), "split": np.empty(rows, dtype=np.int8)}
    known = {name: pa.array(values, pa.string()) for name, values in {**names, "split": SPLITS}.items()}
    start = 0
    try:
        for batch in data.batches("impressions", list(out)):
            here = slice(start, start + batch.num_rows)
            for name, into in out.items():
                column = batch.column(name)
                if name in known:
                    column = column.cast(pa.string())
                    code = compute.index_in(column, known[name]).fill_null(len(known[name]))
                    into[here] = code.to_numpy(zero_copy_only=False)
                    _check_known(name, column, into[here], names.get(name))
                else:
                    into[here] = column.to_numpy(zero_copy_only=False)
            start += batch.num_rows
    except DataError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"impressions: {_first(error)}; run ingest again") from None
    return out


def _small(names: int) -> type[np.signedinteger[Any]]:
    """An integer that holds 0 to `names`."""
    return np.int16 if names <= np.iinfo(np.int16).max else np.int32


def _check_known(name: str, column: Any, code: Codes, known: tuple[str, ...] | None) -> None:
    """Raise `DataError` where a value has no number; `known` is `None` where any may be missing."""
    if known is None:
        return
    strange = code == len(known)
    if name == "creative_id":
        strange &= np.asarray(column.is_valid())
    if not strange.any():
        return
    value = column[int(np.argmax(strange))].as_py()
    if name == "creative_id":
        raise DataError(
            f"impressions.creative_id: {value!r} has no row in embeddings/creatives.parquet; "
            "run the features step on the same dataset"
        )
    raise DataError(f"impressions.{name}: {value!r} is not among meta.json's {list(known)}; run ingest again")


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


def _events(data: Dataset, rows: int, steps: int, vocabulary: int) -> NDArray[Any]:
    """(rows, steps) ids in the impressions' order: the newest `steps`, right-aligned, zeros before."""
    padded = _own_pages(rows, steps, _id_type(vocabulary))
    seen, start = _Seen(), 0
    try:
        for impressions, lists in side_by_side(data, ["impression_id"]):
            seen.pad(lists, padded[start : start + impressions.num_rows])
            start += impressions.num_rows
    except OtherOrderError as error:
        _log.warning("%s: joined by name, which takes memory for every impression's", error)
        padded = _events_by_name(data, seen, steps, vocabulary)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"sequences: {_first(error)}; run ingest again") from None
    if seen.low < 1 or seen.high >= vocabulary:
        ids = f"ids {seen.low} to {seen.high}, want 1 to {vocabulary - 1}"
        raise DataError(f"sequences.events: {ids}; run ingest again")
    return padded


def _own_pages(rows: int, steps: int, kind: type[np.integer[Any]]) -> NDArray[Any]:
    """(rows, steps) zeros in pages of their own, which the process gives back as soon as the array is let go.

    Of its heap the C library keeps what is freed below something else, and it takes up to 32 MiB there: histories of a
    million impressions would stay beside what is written.
    """
    pages = mmap.mmap(-1, rows * steps * np.dtype(kind).itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)  # as numpy asks for its own
    return np.frombuffer(pages, kind).reshape(rows, steps)


def _id_type(vocabulary: int) -> type[np.integer[Any]]:
    return np.uint8 if vocabulary <= 256 else np.int32


class _Seen:
    """Least and largest behaviour id so far, and how histories are laid out."""

    def __init__(self) -> None:
        self.low, self.high = np.iinfo(np.int64).max, 0

    def pad(self, lists: Any, into: NDArray[Any]) -> None:
        """Write the newest ids of some rows into (rows, steps) zeros."""
        steps = into.shape[1]
        flat = np.asarray(lists.flatten(), dtype=np.int64)
        length = np.asarray(lists.value_lengths().fill_null(0), dtype=np.int64)
        if flat.size:
            self.low, self.high = min(self.low, int(flat.min())), max(self.high, int(flat.max()))
        column = steps - np.repeat(np.cumsum(length), length) + np.arange(flat.size)
        row = np.repeat(np.arange(len(length)), length)
        newest = column >= 0
        into[row[newest], column[newest]] = flat[newest]


def _events_by_name(data: Dataset, seen: _Seen, steps: int, vocabulary: int) -> NDArray[Any]:
    """The same where sequences.parquet is in an order of its own: every name stands in memory."""
    import pandas as pd

    impression_id = data.frame("impressions", ["impression_id"])["impression_id"].to_numpy()
    ids = data.frame("sequences", ["impression_id"])["impression_id"]
    padded, start = np.zeros((len(ids), steps), dtype=_id_type(vocabulary)), 0
    for batch in data.batches("sequences", ["events"]):
        seen.pad(batch.column("events"), padded[start : start + batch.num_rows])
        start += batch.num_rows
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
