"""A column for each platform: as many rows as platforms."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history.wide import parted
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken, written


def wide(form: str) -> pd.DataFrame:
    table = PLAIN.pivot_table(index="date", columns="platform", values=FIGURES, aggfunc="first")
    table.columns = [form.format(platform=platform, figure=figure) for figure, platform in table.columns]
    return table.reset_index()


@pytest.mark.parametrize("form", ["{platform}_{figure}", "{figure} ({platform})", "{figure} - {platform}"])
def test_every_platform_gets_its_rows(form: str, tmp_path: Path) -> None:
    history = taken(written(tmp_path, wide(form).to_csv(index=False)))
    assert_same(history)
    assert any("each row is read as 2 rows (search, social)" in note for note in history.notes)


def test_a_total_beside_them_is_left_out(tmp_path: Path) -> None:
    table = wide("{platform}_{figure}").assign(total_spend=1.0)
    assert_same(taken(written(tmp_path, table.to_csv(index=False))))


def test_results_of_all_platforms_together_cannot_be_split(tmp_path: Path) -> None:
    table = wide("{platform}_{figure}").drop(columns=["search_revenue", "social_revenue"]).assign(revenue=100.0)
    with pytest.raises(
        DataError, match=r"revenue: .* one column of it for all platforms \(search, social\); .*experiment"
    ):
        taken(written(tmp_path, table.to_csv(index=False)))


def test_a_name_is_parted_into_platform_and_figure() -> None:
    assert parted("google_ads_spend") == ("google_ads", "spend")
    assert parted("Conv. value (Meta)") == ("Meta", "revenue")
    for name in ("Ad group", "Avg. cost", "Cost per click", "Cost / conv."):
        assert parted(name) is None


def test_a_platform_whose_name_ends_like_a_figure(tmp_path: Path) -> None:
    """`Google Ads clicks` has `Ads clicks` of GA4 in it, `Google Ads spend` has not."""
    history = taken(written(tmp_path, wide("{platform} Ads {figure}").to_csv(index=False)))
    assert_same(history, PLAIN.assign(platform=PLAIN["platform"] + "_Ads"))
