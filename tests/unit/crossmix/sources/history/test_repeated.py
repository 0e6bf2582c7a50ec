"""Rows of one date, platform and campaign: parts are added up, the later word counts, doubts are asked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from tests.support.histories import sound
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken, written


def halves(frame: pd.DataFrame, first: float = 0.4) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two parts of every row that add up to it."""
    one = frame.assign(**{name: (frame[name].astype(float) * first).round(2) for name in FIGURES})
    return one, frame.assign(**{name: (frame[name].astype(float) - one[name]).round(2) for name in FIGURES})


def test_parts_that_a_column_tells_apart_are_added_up(tmp_path: Path) -> None:
    one, two = halves(PLAIN, 0.5)
    both = pd.concat([one.assign(**{"Ad group": "a"}), two.assign(**{"Ad group": "b"})])
    history = taken(written(tmp_path, both.to_csv(index=False)), 'data.accept=["fractions"]')
    assert_same(history)
    assert any("160 rows are parts of 80 days" in note and "'Ad group'" in note for note in history.notes)


def test_hours_of_a_day_are_added_up(tmp_path: Path) -> None:
    one, two = halves(PLAIN)
    both = pd.concat([one.assign(date=one["date"] + " 00:00"), two.assign(date=two["date"] + " 12:00")])
    assert_same(taken(written(tmp_path, both.to_csv(index=False)), 'data.accept=["fractions"]'))


def test_neighbours_on_a_few_days_are_parts(tmp_path: Path) -> None:
    one, two = halves(PLAIN)
    few = [3, 10, 40]
    rows = [
        part
        for at in range(len(PLAIN))
        for part in ([one[at : at + 1], two[at : at + 1]] if at in few else [PLAIN[at : at + 1]])
    ]
    history = taken(written(tmp_path, pd.concat(rows).to_csv(index=False)))
    assert_same(history)
    assert "6 rows are parts of 3 days of a platform and campaign; they are added up." in history.notes


def test_the_later_of_two_exports_counts(tmp_path: Path) -> None:
    newer = PLAIN[40:].assign(
        conversions=lambda t: t["conversions"] + 1, revenue=lambda t: t["revenue"].astype(float) + 20
    )
    wanted = pd.concat([PLAIN[:40], newer])
    stacked = pd.concat([PLAIN[:60], newer])
    history = taken(written(tmp_path, stacked.to_csv(index=False)))
    assert_same(history, wanted)
    assert any("20 row(s) from 2025-01-26 to 2025-02-04 are there again, restated" in note for note in history.notes)
    folder = tmp_path / "two"
    folder.mkdir()
    written(folder, newer.to_csv(index=False), "a-new.csv")
    written(folder, PLAIN[:60].to_csv(index=False), "b-old.csv")
    assert_same(taken(folder), wanted)


def test_the_newest_stamp_counts_wherever_it_stands(tmp_path: Path) -> None:
    older = PLAIN.assign(conversions=1, _airbyte_extracted_at="2025-03-01T00:00:00")
    newer = PLAIN.assign(_airbyte_extracted_at="2025-03-02T00:00:00")
    history = taken(written(tmp_path, pd.concat([newer, older]).to_csv(index=False)))
    assert_same(history)
    assert any("80 row(s) are older states of others by '_airbyte_extracted_at'" in note for note in history.notes)


def test_copies_count_once(tmp_path: Path) -> None:
    history = taken(written(tmp_path, pd.concat([PLAIN, PLAIN[:7]]).to_csv(index=False)))
    assert_same(history)
    assert "7 row(s) are exact copies of others and count once." in history.notes


@pytest.mark.parametrize(("rule", "spend"), [("add", 2), ("newest", 1)])
def test_blocks_of_other_money_are_asked(rule: str, spend: int, tmp_path: Path) -> None:
    other = PLAIN.assign(**{name: PLAIN[name] * 3 for name in FIGURES})
    file = written(tmp_path, pd.concat([other, PLAIN]).to_csv(index=False))
    with pytest.raises(DataError, match=r"date: 160 of 160 rows share .* data\.repeated=add .* data\.repeated=newest"):
        taken(file)
    total = sum(map(float, taken(file, f"data.repeated={rule}").columns["spend"]))
    assert total == pytest.approx(PLAIN["spend"].astype(float).sum() * (4 if spend == 2 else 1))


def test_neighbours_that_say_the_same_twice_are_asked(tmp_path: Path) -> None:
    again = PLAIN.assign(conversions=PLAIN["conversions"] + 1)
    rows = pd.concat([PLAIN, again]).sort_index(kind="stable")
    with pytest.raises(DataError, match=r"date: 160 of 160 rows share their date, platform and campaign"):
        taken(written(tmp_path, rows.to_csv(index=False)))


def test_a_plan_that_every_part_repeats_is_one_plan(tmp_path: Path) -> None:
    one, two = halves(PLAIN)
    both = pd.concat([one.assign(ad="a"), two.assign(ad="b")]).assign(planned=100)
    history = taken(written(tmp_path, both.to_csv(index=False)), 'data.accept=["fractions"]')
    assert set(history.columns["planned"]) == {"100"}


def test_a_word_among_the_parts_leaves_them_for_the_quarantine(tmp_path: Path) -> None:
    one, two = halves(sound(40))
    both = pd.concat([one.assign(ad="a"), two.assign(ad="b")]).astype(object).reset_index(drop=True)
    both.loc[0, "spend"] = "much"
    history = taken(written(tmp_path, both.to_csv(index=False)), 'data.accept=["fractions"]')
    assert "much" in history.columns["spend"]
    assert len(history.columns["spend"]) == 81


OLD, NEW = PLAIN[PLAIN["date"] <= "2025-02-05"], PLAIN[PLAIN["date"] > "2025-01-25"]
RESTATED = NEW.assign(conversions=NEW["conversions"] + 2, revenue=(NEW["revenue"].astype(float) * 1.06).round(2))
WANTED = pd.concat([OLD[OLD["date"] <= "2025-01-25"], RESTATED])


@pytest.mark.parametrize("ascends", [True, False])
def test_the_newer_of_two_exports_counts_where_it_stands_above(ascends: bool, tmp_path: Path) -> None:
    old, new = (part.sort_values("date", ascending=ascends, kind="stable") for part in (OLD, RESTATED))
    history = taken(written(tmp_path, pd.concat([new, old]).to_csv(index=False)))
    assert_same(history, WANTED)
    assert any("there again, restated: the later ones count" in note for note in history.notes)


def test_a_part_that_is_told_again_below_the_whole_counts(tmp_path: Path) -> None:
    part = RESTATED[RESTATED["date"] <= "2025-02-05"]
    wanted = pd.concat([PLAIN[~PLAIN["date"].isin(set(part["date"]))], part])
    assert_same(taken(written(tmp_path, pd.concat([PLAIN, part]).to_csv(index=False))), wanted)


@pytest.mark.parametrize(
    ("name", "older", "newer"),
    [
        ("updated", "9/28/2025", "10/3/2025"),
        ("Exportiert am", "28.02.2025", "03.03.2025"),
        ("synced at", "2/28/2025 9:30 PM", "2/28/2025 10:05 PM"),
        ("extracted", "987654321", "1234567890"),
    ],
)
def test_stamps_are_compared_as_times(name: str, older: str, newer: str, tmp_path: Path) -> None:
    both = pd.concat([RESTATED.assign(**{name: newer}), OLD.assign(**{name: older})]).sort_values(["date", "platform"])
    assert_same(taken(written(tmp_path, both.to_csv(index=False))), WANTED)


@pytest.mark.parametrize(
    ("stamp", "message"), [("5/3/2025", "may have the day or the month first"), ("soon", "no date")]
)
def test_a_stamp_that_tells_no_time_is_asked(stamp: str, message: str, tmp_path: Path) -> None:
    both = pd.concat([RESTATED.assign(updated=stamp), OLD.assign(updated="4/3/2025" if stamp != "soon" else "now")])
    with pytest.raises(DataError, match=f"updated: .*{message}"):
        taken(written(tmp_path, both.to_csv(index=False)))


def test_of_two_sheets_the_one_that_is_called_old_is_older(tmp_path: Path) -> None:
    older = PLAIN.assign(conversions=PLAIN["conversions"] + 1)
    for name, table in (("data.csv", PLAIN), ("data (old).csv", older), ("data backup.csv", older)):
        written(tmp_path, table.to_csv(index=False), name)
    assert_same(taken(tmp_path))


def test_two_sheets_of_the_same_days_are_asked(tmp_path: Path) -> None:
    other = PLAIN.assign(conversions=PLAIN["conversions"] + 1)
    for name, table in (("north.csv", PLAIN), ("south.csv", other)):
        written(tmp_path, table.to_csv(index=False), name)
    with pytest.raises(
        DataError, match=r"date: 'north' and 'south' tell the same days with other figures, .*leave one"
    ):
        taken(tmp_path)
    assert_same(taken(tmp_path, "data.repeated=newest"), other)
    (tmp_path / "south.csv").rename(tmp_path / "north (1).csv")
    assert_same(taken(tmp_path), other)
