"""Which columns of a table have moved since a reference, without Evidently: `compare(reference, current)`.

A column has drifted where both hold: its distance is at least `Limits.effect`, and it is significant over all columns
(Holm 1979). The distance keeps a large table from flagging what does not matter, the test a small one from flagging
luck.

| column     | distance                                                     | test                                   |
|------------|--------------------------------------------------------------|----------------------------------------|
| number     | Wasserstein distance in standard deviations of the reference | two-sample Kolmogorov-Smirnov          |
| category   | total variation, the share of rows that changed category     | chi-square, rare categories as one     |

Rows that follow each other are alike where a column persists, and then N rows tell less than N independent ones: their
number is divided by the integrated autocorrelation time of ranks (Geyer 1992), in the order of the table. A raw column
with persistence 0.98 drifts by itself, and 10,000 rows of it are worth 100. Where the rows are worth too few to find a
shift of `Limits.effect`, the answer is "insufficient data": neither drift nor quiet.

Shapes: N rows of a column, M of the other table's, K categories, L lags.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov, ndtr, ndtri

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["number", "category"]
Verdict = Literal["drift", "quiet", "insufficient data"]

RARE = 5.0
"""Expected rows below which categories are counted as one, for the chi-square law to hold (Cochran 1954)."""
FOLLOWED = 8
"""Most frequent categories whose persistence is measured."""

INFERRED = ("decimal", "floating", "integer", "mixed-integer-float")
"""What pandas finds in a column of objects that are numbers."""


class TableError(ValueError):
    """A table cannot be read or compared; one sentence with field, value and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a column has drifted."""

    effect: float = 0.1
    """Least distance: standard deviations of the reference for numbers, a share of rows for categories."""
    level: float = 0.05
    """Chance that any of the columns is significant by luck."""
    power: float = 0.8
    """Least chance with which a shift of `effect` standard deviations is significant in a table that is judged."""
    least: float | None = None
    """Independent rows that either table must be worth, instead of the number that `power` asks for."""

    def __post_init__(self) -> None:
        for name, value, most in (
            ("effect", self.effect, math.inf),
            ("level", self.level, 1),
            ("power", self.power, 1),
        ):
            if not 0 < value < most:
                raise TableError(f"{name}={value:g}: must lie above 0" + (f" and below {most}" if most == 1 else ""))
        if self.least is not None and not 1 < self.least < math.inf:
            raise TableError(f"least={self.least:g}: must lie above 1")

    def rows(self, columns: int) -> float:
        """Independent rows that either of two equal tables of so many columns must be worth.

        A shift of `effect` standard deviations moves a normal law's distribution function by 2 Phi(effect / 2) - 1 at
        most. Scaled by sqrt(n m / (n + m)) it must exceed the Kolmogorov-Smirnov test's critical value at Holm's first
        step, sqrt(-ln(a / 2) / 2), by as much noise, of deviation 1/2 at most, as `power` asks for. The largest of
        all distances is no smaller than that one, so the chance is rather larger.
        """
        if self.least is not None:
            return self.least
        critical = math.sqrt(-math.log(self.level / (2 * max(columns, 1))) / 2)
        noise = 0.5 * max(float(ndtri(self.power)), 0.0)
        return 2 * ((critical + noise) / (2 * float(ndtr(self.effect / 2)) - 1)) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How far one column moved."""

    name: str
    kind: Kind
    verdict: Verdict
    effect: float
    """Distance, see the table of this module."""
    p_value: float
    """Adjusted for the number of columns (Holm); NaN where there is insufficient data."""
    rows: tuple[int, int]
    """Known values of the reference and of the current table."""
    worth: tuple[float, float]
    """Independent rows that they are worth."""
    missing: tuple[float, float]
    """Share of rows without a value, infinite ones included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two tables, column by column."""

    columns: tuple[Column, ...]
    """The compared ones, in the order of the reference."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that could not be compared, and why."""
    rows: tuple[int, int]
    needed: float
    """Independent rows that either table must be worth."""
    limits: Limits

    @property
    def verdict(self) -> Verdict:
        """ "insufficient data" where no column could be judged."""
        verdicts = {column.verdict for column in self.columns}
        if "drift" in verdicts:
            return "drift"
        return "quiet" if "quiet" in verdicts else "insufficient data"

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the columns that have drifted."""
        return tuple(column.name for column in self.columns if column.verdict == "drift")

    def as_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes `None`."""
        plain = asdict(self)
        for column in plain["columns"]:
            column["p_value"] = None if math.isnan(column["p_value"]) else column["p_value"]
        return {"verdict": self.verdict, "drifted": list(self.drifted), **plain}


def read(table: Path | pd.DataFrame) -> pd.DataFrame:
    """A CSV or Parquet file, or a table as it is; column names become text.

    Raises:
        TableError: the file is not there, is neither of the two, has no column, or two of one name.
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        frame, told = table, "table"
    else:
        frame, told = _from_file(table), str(table)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    twice = sorted(set(frame.columns[frame.columns.duplicated()]))
    if twice:
        raise TableError(f"{told}: has more than one column {twice[0]!r}; rename them")
    if not len(frame.columns):
        raise TableError(f"{told}: has no columns; name a table with a header")
    return frame


def _from_file(path: Path) -> pd.DataFrame:
    import pandas as pd

    kinds = {".csv": pd.read_csv, ".gz": pd.read_csv, ".parquet": pd.read_parquet, ".pq": pd.read_parquet}
    reader = kinds.get(path.suffix.lower())
    if reader is None:
        raise TableError(f"{path}: is neither CSV nor Parquet; its name must end in .csv, .csv.gz, .parquet or .pq")
    if not path.is_file():
        raise TableError(f"{path}: there is no such file; name a CSV or Parquet file")
    try:
        # Mixed types in a column of a long file are found only when it is read whole.
        return reader(path, low_memory=False) if reader is pd.read_csv else reader(path)
    except (ValueError, OSError, EOFError) as error:
        # pandas' ParserError and pyarrow's ArrowInvalid are ValueErrors.
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(f"{path}: cannot be read ({why}); write it anew as CSV with a header or as Parquet") from None


def compare(reference: Path | pd.DataFrame, current: Path | pd.DataFrame, limits: Limits | None = None) -> Comparison:
    """Every column that both tables have, judged together.

    Raises:
        TableError: as `read`.
    """
    limits = limits or Limits()
    before, after = read(reference), read(current)
    left_out = {name: "not in the current table" for name in before.columns if name not in after.columns}
    left_out |= {name: "not in the reference" for name in after.columns if name not in before.columns}
    measured = []
    for name in before.columns:
        if name in left_out:
            continue
        found = _measured(name, before[name], after[name])
        if isinstance(found, str):
            left_out[name] = found
        else:
            measured.append(found)
    needed = limits.rows(len(measured))
    return Comparison(
        columns=judged(measured, needed, limits),
        left_out=left_out,
        rows=(len(before), len(after)),
        needed=needed,
        limits=limits,
    )


def judged(columns: Iterable[Column], needed: float, limits: Limits) -> tuple[Column, ...]:
    """The columns with their verdicts, their p-values adjusted by Holm over those that have enough rows.

    Args:
        columns: with p-values of their own.
        needed: independent rows that either of two equal tables must be worth; of unequal ones, their harmonic mean.
    """
    columns = tuple(columns)
    enough = [2 / (1 / column.worth[0] + 1 / column.worth[1]) >= needed for column in columns]
    if limits.least is not None:
        enough = [min(column.worth) >= needed for column in columns]
    p_C = np.array([column.p_value for column in columns])
    adjusted_C = np.full(len(columns), np.nan)
    tested = np.flatnonzero(enough)
    ranked = tested[np.argsort(p_C[tested], kind="stable")]
    steps = np.arange(len(ranked), 0, -1)
    adjusted_C[ranked] = np.minimum(np.maximum.accumulate(p_C[ranked] * steps), 1) if len(ranked) else 0
    answer = []
    for column, p_value in zip(columns, adjusted_C.tolist(), strict=True):
        moved = column.effect >= limits.effect and p_value <= limits.level
        verdict: Verdict = "insufficient data" if math.isnan(p_value) else "drift" if moved else "quiet"
        answer.append(replace(column, verdict=verdict, p_value=p_value))
    return tuple(answer)


def _measured(name: str, before: pd.Series[Any], after: pd.Series[Any]) -> Column | str:
    """The column with its own p-value, or why it is left out."""
    kinds = _kind(before), _kind(after)
    known = [_values(series, kind) for series, kind in zip((before, after), kinds, strict=True)]
    for values, where in zip(known, ("reference", "current table"), strict=True):
        if not len(values):
            return f"empty in the {where}"
    if kinds[0] != kinds[1] or kinds[0] == "time":
        told = {"number": "numbers", "category": "text", "time": "times"}
        if kinds[0] == kinds[1]:
            return "times, which move by themselves"
        return f"{told[kinds[0]]} in the reference, {told[kinds[1]]} in the current table"
    kind: Kind = "number" if kinds[0] == "number" else "category"
    first, second = known
    constant = bool((first == first[0]).all())
    if constant and bool((second == first[0]).all()):
        return "constant"
    if kind == "category" or constant:
        # A constant has no deviation to measure in: what counts is the share of rows that left it.
        found = _of_categories(first, second, own=first[0] if constant else None)
    else:
        found = _of_numbers(first, second)
    if isinstance(found, str):
        return found
    effect, p_value, worth = found
    return Column(
        name=name,
        kind=kind,
        verdict="insufficient data",
        effect=effect,
        p_value=p_value,
        rows=(len(first), len(second)),
        worth=worth,
        missing=(1 - len(first) / len(before), 1 - len(second) / len(after)),
    )


def _kind(series: pd.Series[Any]) -> str:
    from pandas.api import types

    kind = series.dtype
    if types.is_bool_dtype(kind):
        return "category"
    if types.is_numeric_dtype(kind) and not types.is_complex_dtype(kind):
        return "number"
    if types.is_datetime64_any_dtype(kind) or types.is_timedelta64_dtype(kind):
        return "time"
    return "number" if types.infer_dtype(series, skipna=True) in INFERRED else "category"


def _values(series: pd.Series[Any], kind: str) -> NDArray[Any]:
    """What is known of a column, in the order of its rows: numbers as finite floats, all else as text."""
    if kind == "number":
        values = series.to_numpy(np.float64, na_value=np.nan)
        return np.asarray(values[np.isfinite(values)])
    known = series.dropna()
    return np.asarray(known.astype(str), dtype=object)


def _of_numbers(first_N: Array, second_M: Array) -> tuple[float, float, tuple[float, float]] | str:
    """Distance, p-value, and the rows' worth; or why there are none."""
    scale = float(first_N.std()) if max(abs(first_N).max(), abs(second_M).max()) < 1e150 else math.inf
    if not 0 < scale < math.inf:
        return "too large or too close together for floating point"
    (first_ordered, first_ranks), (second_ordered, second_ranks) = _ranked(first_N), _ranked(second_M)
    wasserstein, gap = _gaps(first_ordered, second_ordered)
    worth = _worth(first_ranks[None]), _worth(second_ranks[None])
    p_value = float(kolmogorov(math.sqrt(worth[0] * worth[1] / sum(worth)) * gap))
    return wasserstein / scale, p_value, worth


def _ranked(values_N: Array) -> tuple[Array, Array]:
    """The values in order, and their ranks from 0; equal ones share the middle, as by row they would seem to rise."""
    order = np.argsort(values_N)
    ordered_N = values_N[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered_N[1:] != ordered_N[:-1]]))
    equal = np.diff(begins, append=len(ordered_N))
    rank_N = np.empty(len(ordered_N))
    rank_N[order] = np.repeat(begins + (equal - 1) / 2, equal)
    return ordered_N, rank_N


def _gaps(first_N: Array, second_M: Array) -> tuple[float, float]:
    """Area between the distribution functions of two sorted samples, and their largest distance."""
    every = np.concatenate([first_N, second_M])
    # Stable: merges the two, which are in order.
    order = np.argsort(every, kind="stable")
    step = np.diff(every[order])
    below_first = np.cumsum(order < len(first_N))[:-1]
    below_second = np.arange(1, len(every)) - below_first
    gap = abs(below_first / len(first_N) - below_second / len(second_M))
    # Between equal values the functions are half counted.
    return float((gap * step).sum()), float(gap[step > 0].max(initial=0.0))


def _of_categories(
    first: NDArray[Any], second: NDArray[Any], own: Any = None
) -> tuple[float, float, tuple[float, float]] | str:
    """As `_of_numbers`; with `own`, the only two categories are that value and every other."""
    import pandas as pd

    both = np.concatenate([first, second])
    code = (both != own).astype(np.int64) if own is not None else np.asarray(pd.factorize(both)[0], np.int64)
    n, m = len(first), len(second)
    count_2K = np.stack([np.bincount(part, minlength=code.max() + 1) for part in (code[:n], code[n:])]).astype(float)
    frequent = np.argsort(-count_2K.sum(0), kind="stable")[:FOLLOWED]
    worth = tuple(_worth((part[None] == frequent[:, None]).astype(float)) for part in (code[:n], code[n:]))
    share_2K = count_2K / count_2K.sum(1, keepdims=True)
    pooled_K = count_2K.sum(0) / (n + m)
    rare_K = pooled_K * min(n, m) < RARE
    if own is None and min(share_2K[:, rare_K].sum(1)) > 0.5:
        return "nearly every row has a value of its own"
    moved_K, _ = _merged(share_2K, pooled_K, rare_K)
    tested_K, expected_K = _merged(share_2K, pooled_K, pooled_K * min(worth) < RARE)
    statistic = worth[0] * worth[1] / sum(worth) * float((tested_K**2 / expected_K).sum())
    p_value = float(chdtrc(len(expected_K) - 1, statistic)) if len(expected_K) > 1 else 1.0
    return float(abs(moved_K).sum() / 2), p_value, (worth[0], worth[1])


def _merged(share_2K: Array, pooled_K: Array, rare_K: NDArray[np.bool_]) -> tuple[Array, Array]:
    """By how much shares moved, and what they are of both tables, with rare categories as one."""
    moved_K = share_2K[0] - share_2K[1]
    if not rare_K.any():
        return moved_K, pooled_K
    return (
        np.append(moved_K[~rare_K], moved_K[rare_K].sum()),
        np.append(pooled_K[~rare_K], pooled_K[rare_K].sum()),
    )


def _worth(series_SN: Array) -> float:
    """Independent rows that N rows are worth: N over the integrated autocorrelation time of the series together.

    Geyer's initial monotone sequence: sums of two neighbouring autocorrelations, up to the first that is not above 0,
    none larger than the one before.
    """
    rows = series_SN.shape[1]
    centred_SN = series_SN - series_SN.mean(1, keepdims=True)
    # At least as long as two series: what one end would tell about the other falls on zeros.
    length = 1 << (2 * rows - 1).bit_length()
    spectrum = np.fft.rfft(centred_SN, length, axis=1)
    covariance_L = np.fft.irfft((spectrum * spectrum.conj()).real.sum(0), length)[:rows]
    if covariance_L[0] <= 0:
        return float(rows)
    pairs = covariance_L[: rows // 2 * 2].reshape(-1, 2).sum(1) / covariance_L[0]
    ends = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    return float(rows / max(2 * pairs.sum() - 1, 1.0))
