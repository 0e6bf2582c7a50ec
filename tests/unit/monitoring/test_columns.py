"""Columns of any table: distances and p-values by hand, planted shifts found and no others, what cannot be compared."""

from __future__ import annotations

import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal, stats

from monitoring.columns import Column, Comparison, Limits, TableError, compare, judged, read

LOOSE = Limits(least=2)


def normal(rows: int, seed: int, *, shift: float = 0.0, columns: int = 50, persistence: float = 0.0) -> pd.DataFrame:
    """Columns of deviation 1, the first five shifted."""
    noise = np.random.default_rng(seed).standard_normal((rows, columns))
    if persistence:
        noise = signal.lfilter([math.sqrt(1 - persistence**2)], [1, -persistence], noise, axis=0)
    noise[:, :5] += shift
    return pd.DataFrame(noise, columns=[f"x{column}" for column in range(columns)])


def only(reference: object, current: object, limits: Limits = LOOSE) -> Column:
    """The one column of two."""
    found = compare(pd.DataFrame({"a": reference}), pd.DataFrame({"a": current}), limits)
    (column,) = found.columns
    return column


@pytest.mark.parametrize(("rows", "seed"), [(10_000, 1), (10_000, 3), pytest.param(100_000, 5, marks=pytest.mark.slow)])
def test_a_shift_in_five_of_fifty_columns_is_found_and_no_other(rows: int, seed: int) -> None:
    found = compare(normal(rows, seed), normal(rows, seed + 1, shift=0.3))
    assert (found.verdict, found.drifted) == ("drift", ("x0", "x1", "x2", "x3", "x4"))
    assert [column.effect for column in found.columns[:5]] == pytest.approx([0.3] * 5, abs=0.05)
    assert max(column.effect for column in found.columns[5:]) < 0.06
    assert found.left_out == {}


def test_a_thousand_rows_are_insufficient_for_the_table() -> None:
    found = compare(normal(1_000, 7), normal(1_000, 8, shift=0.3))
    assert (found.verdict, found.drifted) == ("insufficient data", ())
    assert {column.verdict for column in found.columns} == {"insufficient data"}
    assert all(math.isnan(column.p_value) for column in found.columns)


def test_rows_that_persist_are_worth_few() -> None:
    """Persistence 0.98 leaves 1 / 99 of the rows; none of such columns alarms, whichever way it went."""
    found = compare(normal(10_000, 9, persistence=0.98), normal(10_000, 10, persistence=0.98))
    assert np.median([column.worth for column in found.columns]) == pytest.approx(10_000 / 99, rel=0.15)
    assert max(column.effect for column in found.columns) > 0.1
    assert found.verdict == "insufficient data"


def test_the_order_of_equal_values_is_no_persistence() -> None:
    rng = np.random.default_rng(11)
    for kind in (rng.integers(0, 2, 4_000), rng.integers(0, 2, 4_000) > 0, rng.choice(["a", "b", "c"], 4_000)):
        assert min(only(kind, kind).worth) > 3_000


def test_sorted_rows_are_worth_few() -> None:
    ordered = np.sort(np.random.default_rng(12).standard_normal(4_000))
    assert only(ordered, ordered).worth[0] < 10
    categories = np.repeat(["a", "b"], 2_000)
    assert only(categories, categories).worth[0] < 10


def test_distance_and_p_value_of_numbers_agree_with_scipy() -> None:
    rng = np.random.default_rng(13)
    first, second = rng.gamma(2, 1, 3_000), rng.gamma(2.3, 1, 2_000).round(1)
    column = only(first, second)
    assert column.effect == pytest.approx(stats.wasserstein_distance(first, second) / first.std())
    gap = stats.ks_2samp(first, second).statistic
    n, m = column.worth
    assert column.p_value == pytest.approx(stats.kstwobign.sf(math.sqrt(n * m / (n + m)) * gap))
    assert (column.rows, column.kind) == ((3_000, 2_000), "number")


def test_distance_and_p_value_of_categories_agree_with_scipy() -> None:
    first, second = (np.repeat(["a", "b", "c"], counts) for counts in ((500, 300, 200), (400, 300, 300)))
    first, second = (np.random.default_rng(14).permutation(part) for part in (first, second))
    column = only(first, second)
    assert column.effect == pytest.approx(0.1)
    n, m = column.worth
    shares = np.array([[0.5, 0.3, 0.2], [0.4, 0.3, 0.3]])
    # Scaled to the rows' worth, as counts of independent ones would be; pooled shares are those of all rows.
    pooled = shares.mean(0)
    statistic = n * m / (n + m) * ((shares[0] - shares[1]) ** 2 / pooled).sum()
    assert column.p_value == pytest.approx(stats.chi2.sf(statistic, 2))
    exact = stats.chi2_contingency([[500, 300, 200], [400, 300, 300]], correction=False)
    assert statistic == pytest.approx(exact.statistic * n * m / (n + m) / 500)
    assert column.kind == "category"


def test_rare_categories_count_as_one() -> None:
    rng = np.random.default_rng(15)
    names = np.array(["big", *(f"rare{number}" for number in range(5_000))])
    first, second = (names[np.where(rng.random(2_000) < part, 0, rng.integers(1, 5_001, 2_000))] for part in (0.9, 0.7))
    assert only(first, second).effect == pytest.approx(0.2, abs=0.03)


def test_holm_over_columns_by_hand() -> None:
    columns = [
        Column(
            name=str(p),
            kind="number",
            verdict="insufficient data",
            effect=effect,
            p_value=p,
            rows=(100, 100),
            worth=(worth, worth),
            missing=(0.0, 0.0),
        )
        for p, effect, worth in ((0.03, 1, 100), (0.01, 1, 100), (0.02, 1, 100), (0.001, 0.09, 100), (0.0, 1, 40))
    ]
    answer = judged(columns, 50, Limits(level=0.05))
    # 0.001 * 4, 0.01 * 3, 0.02 * 2, and 0.03 not below the one before; the last column is no test at all.
    assert [column.p_value for column in answer[:4]] == pytest.approx([0.04, 0.03, 0.04, 0.004])
    assert [column.verdict for column in answer] == ["drift", "drift", "drift", "quiet", "insufficient data"]


def test_both_conditions_have_to_hold() -> None:
    rng = np.random.default_rng(16)
    small = only(rng.standard_normal(40_000), rng.standard_normal(40_000) + 0.06)
    assert (small.verdict, small.p_value < 1e-6) == ("quiet", True)
    lucky = only(rng.standard_normal(30), rng.standard_normal(30))
    assert (lucky.verdict, lucky.effect > 0.1) == ("quiet", True)


@pytest.mark.parametrize(("effect", "columns"), [(0.1, 1), (0.2, 50)])
def test_so_many_rows_are_needed_as_find_the_least_shift(effect: float, columns: int) -> None:
    """The least shift is significant at Holm's first step as often as asked for, and not so in a third of the rows."""
    limits = Limits(effect=effect)
    rng = np.random.default_rng(17)

    def power(rows: int) -> float:
        samples = [(rng.standard_normal(rows), rng.standard_normal(rows) + effect) for _ in range(150)]
        gaps = [stats.ks_2samp(*pair, method="asymp").statistic for pair in samples]
        return float((stats.kstwobign.sf(np.array(gaps) * math.sqrt(rows / 2)) <= limits.level / columns).mean())

    rows = math.ceil(limits.rows(columns))
    assert power(rows) >= limits.power > power(rows // 3)


def test_what_cannot_be_compared_is_left_out_and_told() -> None:
    rows = 300
    rng = np.random.default_rng(18)
    good = rng.standard_normal(rows)
    reference = pd.DataFrame(
        {
            "good": good,
            "gone": good,
            "empty": np.nan,
            "emptied": good,
            "infinite": good,
            "constant": 3.0,
            "word": "same",
            "at": pd.date_range("2026-01-01", periods=rows, freq="h"),
            "turned": good,
            "id": [f"user{number}" for number in range(rows)],
            "huge": good * 1e200,
        }
    )
    current = reference.drop(columns="gone").assign(
        emptied=None,
        infinite=np.inf,
        new=1,
        turned="text",
        id=[f"user{number}" for number in range(rows, 2 * rows)],
    )
    found = compare(reference, current, LOOSE)
    assert [column.name for column in found.columns] == ["good"]
    assert found.left_out == {
        "gone": "not in the current table",
        "new": "not in the reference",
        "empty": "empty in the reference",
        "emptied": "empty in the current table",
        "infinite": "empty in the current table",
        "constant": "constant",
        "word": "constant",
        "at": "times, which move by themselves",
        "turned": "numbers in the reference, text in the current table",
        "id": "nearly every row has a value of its own",
        "huge": "too large or too close together for floating point",
    }


@pytest.mark.parametrize("reference", [3.0, "same"])
def test_a_constant_that_moved_is_measured_by_the_rows_that_left_it(reference: object) -> None:
    current = [reference] * 700 + ["other" if isinstance(reference, str) else 4.0] * 300
    column = only([reference] * 1000, np.random.default_rng(19).permutation(np.array(current, dtype=object)))
    assert (column.effect, column.verdict) == (pytest.approx(0.3), "drift")


def test_a_value_that_froze_is_drift() -> None:
    column = only(np.random.default_rng(20).standard_normal(500), np.zeros(500))
    assert column.verdict == "drift"


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_no_table_is_too_short_to_be_answered(rows: int) -> None:
    assert compare(normal(rows, 21), normal(rows, 22)).verdict == "insufficient data"


def test_missing_and_infinite_values_are_told_and_no_part_of_the_distance() -> None:
    values = np.random.default_rng(23).standard_normal(1_000)
    holes = values.copy()
    holes[:100], holes[100:150] = np.nan, -np.inf
    column = only(values, holes)
    assert column.rows == (1_000, 850)
    assert column.missing == (0.0, pytest.approx(0.15))
    assert column.effect < 0.05


def test_nullable_decimal_and_unhashable_values_are_taken() -> None:
    rng = np.random.default_rng(24)
    draws = rng.integers(0, 50, 400)
    assert only(pd.array(draws, dtype="Int64"), pd.array([None, *draws[1:]], dtype="Int64")).kind == "number"
    assert only([Decimal(int(one)) for one in draws], [None, *map(Decimal, draws[1:].tolist())]).kind == "number"
    assert only([[one % 3] for one in draws], [[one % 3] for one in draws]).kind == "category"
    assert only(pd.Categorical(draws % 3), pd.Categorical(draws % 3)).kind == "category"


def test_files_and_tables_give_the_same_answer(tmp_path: Path) -> None:
    reference, current = normal(2_000, 25, columns=6), normal(2_000, 26, columns=6, shift=1)
    reference.to_csv(tmp_path / "a.csv", index=False)
    current.to_parquet(tmp_path / "b.parquet")
    by_file = compare(tmp_path / "a.csv", tmp_path / "b.parquet", LOOSE)
    by_table = compare(reference, current, LOOSE)
    assert by_file.drifted == by_table.drifted == ("x0", "x1", "x2", "x3", "x4")
    assert [one.effect for one in by_file.columns] == pytest.approx([one.effect for one in by_table.columns])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gone.csv", None, "there is no such file"),
        ("a.xls", b"", "neither CSV nor Parquet"),
        ("a.csv", b"", "cannot be read"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read"),
        ("a.csv.gz", b"no gzip", "cannot be read"),
        ("a.parquet", b"no parquet", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(name: str, content: bytes | None, told: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=told):
        read(tmp_path / name)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(TableError, match="more than one column '1'"):
        compare(pd.DataFrame([[1, 2]], columns=[1, "1"]), normal(2, 27))


@pytest.mark.parametrize("wrong", [{"effect": 0}, {"level": 1}, {"power": 0}, {"least": 1}, {"effect": math.nan}])
def test_limits_that_do_not_fit_are_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(TableError, match=f"{name}="):
        Limits(**wrong)


def test_a_quiet_check_needs_no_evidently_and_seconds_of_processor_time() -> None:
    probe = """
import sys, time
import numpy as np, pandas as pd
from monitoring.columns import compare
rng = np.random.default_rng(28)
tables = [pd.DataFrame(rng.standard_normal((10_000, 50))) for _ in range(2)]
begun = time.process_time()
print(compare(*tables).verdict, time.process_time() - begun, "evidently" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    verdict, seconds, imported = done.stdout.split()
    assert (verdict, imported) == ("quiet", "False")
    assert float(seconds) < 20  # 2 s are wanted: ten times, for a busy machine


def test_json_has_no_nan() -> None:
    found: Comparison = compare(normal(50, 29, columns=2), normal(50, 30, columns=2))
    plain = found.as_dict()
    assert plain["verdict"] == "insufficient data"
    assert [column["p_value"] for column in plain["columns"]] == [None, None]
