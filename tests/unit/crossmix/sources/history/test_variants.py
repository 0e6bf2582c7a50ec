"""Exports that were read wrongly in silence, or refused for another reason than theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history import columns, measures, units
from tests.support.bent_histories import planted
from tests.unit.crossmix.sources.history.test_load import FIGURES, assert_same, taken, written
from tests.unit.crossmix.sources.history.test_load import PLAIN as ROWS

WORLD = planted(120, seed=40071)
DAY = pd.to_datetime(WORLD["date"])
PLAIN = ROWS.infer_objects()
SEARCH = PLAIN["platform"] == "search"


def in_currency(platforms: Sequence[str], rate: float, until: str = "9999") -> pd.DataFrame:
    """The planted world with the amounts of some platforms in another currency, to a day."""
    where = WORLD["platform"].isin(platforms) & (WORLD["date"] < until)
    return WORLD.assign(
        **{name: WORLD[name].where(~where, WORLD[name] * rate).round(2) for name in ("spend", "revenue")}
    )


@pytest.mark.parametrize("rate", [45.0, 1 / 45])
@pytest.mark.parametrize("abroad", [["video"], ["search", "social", "video"], ["display", "video"]])
def test_platforms_in_another_currency_are_asked(abroad: list[str], rate: float, tmp_path: Path) -> None:
    path = written(tmp_path, in_currency(abroad, rate).to_csv(index=False))
    with pytest.raises(DataError, match=r"may be in another currency: convert all .*--accept price"):
        taken(path)
    assert taken(path, 'data.accept=["price"]').days["spend"].sum() > 0


@pytest.mark.parametrize("rate", [4.3, 1 / 7.5])
def test_a_platform_in_another_currency_until_a_day_is_asked(rate: float, tmp_path: Path) -> None:
    bent = in_currency(["social"], rate, until="2025-03-10")
    with pytest.raises(DataError, match=r"spend: of 'social' from 2025-03-10 on .* all at once; .*--accept unit"):
        taken(written(tmp_path, bent.to_csv(index=False)))


@pytest.mark.parametrize("seed", range(6))
def test_dear_and_cheap_platforms_of_one_currency_are_no_doubt(seed: int) -> None:
    """CPM differs by a factor of 5, orders by 1.4; an account whose orders are worth 10 times as much too."""
    world = planted(120, seed=40080 + seed, growth=3.0)
    for frame in (
        world,
        world.assign(revenue=world["revenue"].where(world["platform"] != "search", world["revenue"] * 10)),
    ):
        frame = frame.assign(day=pd.to_datetime(frame["date"]))
        assert units.whole_platforms(frame) is None
        assert units.unvalued(frame) is None
        assert measures.changed(frame) is None


def test_conversions_whose_value_is_0_in_every_row_are_asked(tmp_path: Path) -> None:
    video = WORLD["platform"] == "video"
    bent = WORLD.assign(revenue=WORLD["revenue"].where(~video, 0.0))
    path = written(tmp_path, bent.to_csv(index=False))
    count = int(WORLD.loc[video, "conversions"].sum())
    with pytest.raises(
        DataError, match=rf"revenue: 'video' has {count:,} conversions and a revenue of 0 .*--accept rev"
    ):
        taken(path)
    assert taken(path, 'data.accept=["revenue"]').days["revenue"].sum() == pytest.approx(bent["revenue"].sum())
    blank = bent.astype(object).assign(revenue=bent["revenue"].astype(object).where(~video, ""))
    held = taken(written(tmp_path, blank.to_csv(index=False)))
    assert set(held.days["platform"]) == set(WORLD["platform"])


@pytest.mark.parametrize(("day", "side"), [("2052-03-01", "after"), ("2024-01-20", "before"), ("1970-01-01", "before")])
def test_a_row_far_from_all_others_is_asked(day: str, side: str, tmp_path: Path) -> None:
    bent = WORLD.copy()
    bent.loc[200, "date"] = day
    path = written(tmp_path, bent.to_csv(index=False))
    with pytest.raises(
        DataError, match=rf"date: 1 row\(s\) of {day} \({bent.loc[200, 'platform']}: .* {side} all others"
    ):
        taken(path, "data.idle_days=true")
    assert any(note.startswith("Accepted (gap)") for note in taken(path, 'data.accept=["gap"]').notes)


def test_a_break_of_half_a_year_is_no_row_far_from_others(tmp_path: Path) -> None:
    late = WORLD.assign(date=(DAY + pd.Timedelta(days=330)).dt.strftime("%Y-%m-%d"))
    assert len(taken(written(tmp_path, pd.concat([WORLD, late]).to_csv(index=False))).days) == 2 * len(WORLD)


def numbered(names: Sequence[str], numbers: Sequence[str], since: str = "2025-03-01") -> pd.DataFrame:
    """One campaign that has another name, and perhaps another number, from a day on."""
    late = WORLD["date"] >= since
    return WORLD.assign(
        campaign=[names[at] for at in late.astype(int)], **{"Campaign ID": [numbers[at] for at in late.astype(int)]}
    )


def test_a_campaign_that_was_renamed_is_one_by_its_number(tmp_path: Path) -> None:
    history = taken(written(tmp_path, numbered(("Spring", "Summer"), ("8123", "8123")).to_csv(index=False)))
    assert set(history.days["campaign"]) == {"Summer"}
    assert history.days["spend"].sum() == pytest.approx(WORLD["spend"].sum())
    assert any("renamed, as their numbers tell" in note and "'Spring' is 'Summer'" in note for note in history.notes)
    apart = taken(written(tmp_path, numbered(("Spring", "Summer"), ("8123", "8124")).to_csv(index=False)))
    assert set(apart.days["campaign"]) == {"Spring", "Summer"}


def test_two_campaigns_of_one_number_at_a_time_stay_two(tmp_path: Path) -> None:
    first = WORLD.assign(campaign="Spring", **{"Campaign ID": "8123"})
    both = pd.concat([first, first.assign(campaign="Summer", spend=first["spend"] * 1.3)])
    history = taken(written(tmp_path, both.to_csv(index=False)))
    assert set(history.days["campaign"]) == {"Spring", "Summer"}


def test_a_name_of_two_numbers_tells_nothing_of_either(tmp_path: Path) -> None:
    """`Summer` was there before as another campaign: `Spring` may have become this one, or that."""
    table = numbered(("Spring", "Summer"), ("8123", "8123"))
    other = WORLD.assign(campaign="Summer", spend=WORLD["spend"] * 1.3, **{"Campaign ID": "9000"})
    history = taken(written(tmp_path, pd.concat([table, other]).to_csv(index=False)))
    assert set(history.days["campaign"]) == {"Spring", "Summer"}


def placed(folder: Path, **files: pd.DataFrame) -> Path:
    """Files by their path below a folder, `__` for its slash."""
    for name, table in files.items():
        path = folder / f"{name.replace('__', '/').replace('_', '-')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.drop(columns="platform").to_csv(path, index=False)
    return folder


RESTATED = PLAIN.assign(revenue=(PLAIN["revenue"].astype(float) * 1.2).round(2))


@pytest.mark.parametrize(("older", "newer"), [("old", "new"), ("2025_05_01", "2025_06_01")])
def test_the_folder_says_which_file_of_one_name_is_newer(older: str, newer: str, tmp_path: Path) -> None:
    files = {f"{older}__search": PLAIN[SEARCH], f"{newer}__search": RESTATED[SEARCH], "social": PLAIN[~SEARCH]}
    assert_same(taken(placed(tmp_path, **files)), pd.concat([RESTATED[SEARCH], PLAIN[~SEARCH]]))


def test_files_of_one_name_are_named_with_their_folders(tmp_path: Path) -> None:
    other = PLAIN.assign(spend=PLAIN["spend"] * 3)
    files = {f"{at}__{name}": frame[(frame["platform"] == name)] for at, frame in (("de", PLAIN), ("fr", other))
             for name in ("search", "social")}  # fmt: skip
    with pytest.raises(DataError, match=r"'de/search' and 'fr/search' tell the same days .* to take 'fr/search'"):
        taken(placed(tmp_path, **files))


def test_accounts_by_number_are_parts(tmp_path: Path) -> None:
    two = pd.concat([PLAIN.assign(Account="111-222"), PLAIN.assign(Account="333-444", spend=PLAIN["spend"] * 2)])
    history = taken(written(tmp_path, two.to_csv(index=False)))
    assert history.days["spend"].sum() == pytest.approx(3 * PLAIN["spend"].sum())


def test_a_calendar_whose_weekends_are_blank_is_asked_as_one_without_rows(tmp_path: Path) -> None:
    weekend = DAY.dt.weekday >= 5
    bent = WORLD.astype(object)
    bent.loc[weekend, FIGURES] = ""
    path = written(tmp_path, bent.to_csv(index=False))
    with pytest.raises(DataError, match=r"no Saturday and no Sunday has a row .*--idle-days"):
        taken(path)
    days = taken(path, "data.idle_days=true").days
    assert days["spend"].sum() == pytest.approx(WORLD.loc[~weekend, "spend"].sum())
    inside = days["day"].dt.weekday >= 5
    assert inside.any()
    assert (days.loc[inside, FIGURES] == 0).all(axis=None)


def test_a_line_of_units_below_the_header_is_no_row(tmp_path: Path) -> None:
    header, *rows = PLAIN.to_csv(index=False).split("\n")
    history = taken(written(tmp_path, "\n".join([header, "(day),(name),(EUR),(#),(#),(#),(EUR)", *rows])))
    assert_same(history)
    assert any("describes its columns, and is left out" in note for note in history.notes)


def test_quotes_behind_blanks_and_formulas_of_text_are_read(tmp_path: Path) -> None:
    quoted = PLAIN.to_csv(index=False, quoting=1).replace('","', '", "')
    assert_same(taken(written(tmp_path, quoted)))
    formulas = PLAIN.assign(platform=[f'="{name}"' for name in PLAIN["platform"]])
    assert_same(taken(written(tmp_path, formulas.to_csv(index=False))))


def test_two_columns_of_money_in_two_currencies_are_asked(tmp_path: Path) -> None:
    two = PLAIN.rename(columns={"spend": "Cost (EUR)", "revenue": "Conv. value (EUR)"})
    two.insert(3, "Cost (USD)", (PLAIN["spend"] * 1.1).round(2))
    path = written(tmp_path, two.to_csv(index=False))
    with pytest.raises(DataError, match=r"spend: .* has it in EUR and in USD; .*--map spend='Cost \(EUR\)'"):
        taken(path)
    assert_same(taken(path, 'data.columns.spend="Cost (EUR)"'))


def test_years_of_the_persian_calendar_are_named(tmp_path: Path) -> None:
    dates = [f"1403/{1 + at // 30:02d}/{1 + at % 30:02d}" for at in range(40)]
    persian = PLAIN.assign(date=PLAIN["date"].map(dict(zip(sorted(set(PLAIN["date"])), dates, strict=True))))
    with pytest.raises(DataError, match=r"date: '1403/01/01' has a year of another calendar"):
        taken(written(tmp_path, persian.to_csv(index=False)))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("Día,Plataforma,Coste,Impr.,Clics,Conversiones,Valor conv.", True),
        ("Dag,Kanaal,Kosten,Vertoningen,Klikken,Conversies,Conv.waarde", True),
        ("Ден,Платформа,Разход,Импресии,Кликвания,Реализации,Стойност", True),
        ("日期,渠道,费用,展示次数,点击次数,转化次数,转化价值", True),
        ("Día,Plataforma,Coste,Impr.,Clics,Conversiones,Valor/conv.", False),
    ],
)
def test_names_of_other_languages_and_none_of_a_ratio(names: str, found: bool) -> None:
    at = columns.find(names.split(","), {}, "x").at
    assert at.get("revenue") == (6 if found else None)
    assert [at[name] for name in columns.REQUIRED[:-1]] == [*range(6)]
