"""What the quarantine holds of the money: told by reason, and from when on a run stops."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.artifacts import IngestReport
from crossmix.config import load
from crossmix.ingest.quarantined import Lost, Sound, lines, weighed
from crossmix.schema import DataError
from tests.support.bent_histories import planted
from tests.support.histories import ingested
from tests.support.raw_logs import impressions, row, run

SOUND = {"search": Sound(100, 900.0), "social": Sound(10, 90.0)}
WHY = [{"code": "spend_negative", "reason": "spend -1: must be at least 0"}]


def test_a_row_that_does_not_tell_its_spend_counts_as_a_usual_one() -> None:
    lost = [Lost("spend_negative", "search", 2, 1.0, 1), Lost("platform_missing", None, 1, 0.0, 1)]
    whole = 990 + 1 + 9 + 9
    found = weighed(lost, SOUND, WHY, load("laptop").data)
    assert found == pytest.approx({"spend_negative": 10 / whole, "platform_missing": 9 / whole}, rel=1e-9)
    assert lines({"platform_missing": 1, "spend_negative": 2, "unknown_platform": 3}, found) == [
        "set aside: 1 row as platform_missing, 0.89% of the spend",
        "set aside: 2 rows as spend_negative, 0.99% of the spend",
        "set aside: 3 rows as unknown_platform",
    ]


def test_a_log_without_spend_counts_rows() -> None:
    sound = {"search": Sound(98, 0.0)}
    assert weighed([Lost("x", "search", 2, 0.0, 2)], sound, WHY, load("laptop").data) == {"x": 0.02}


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        (
            Lost("spend_negative", "search", 3, 30.0, 0),
            r"data\.quarantine_spend: 2\.9% .* 3 as spend_negative \(2\.9%\)",
        ),
        (Lost("spend_negative", "social", 2, 11.0, 0), r"data\.quarantine_platform: 10\.9% .* of 'social'"),
    ],
)
def test_much_of_the_money_stops_unless_accepted(lost: Lost, message: str) -> None:
    settings = load("laptop").data
    with pytest.raises(DataError, match=message + r".*such as: spend -1: must be at least 0.*--accept-quarantine"):
        weighed([lost], SOUND, WHY, settings)
    accepted = load("laptop", ["data.accept_quarantine=true"]).data
    assert weighed([lost], SOUND, WHY, accepted) == {"spend_negative": pytest.approx(lost.spend / (990 + lost.spend))}


def _spoilt(history: pd.DataFrame, rows: int) -> pd.DataFrame:
    """The days with most spend of `search` have their numbers with a unit."""
    history = history.astype({"revenue": object})
    big = history[history["platform"] == "search"]["spend"].nlargest(rows).index
    history.loc[big, "revenue"] = "12 EUR"
    return history


def test_a_history_that_loses_its_big_days_stops(tmp_path: Path) -> None:
    history = planted()
    with pytest.raises(DataError, match=r"data\.quarantine_spend: .*20 as revenue_wrong_type"):
        ingested(tmp_path, _spoilt(history, 20))
    dataset = ingested(tmp_path / "accepted", _spoilt(history, 20), "data.accept_quarantine=true")
    share = IngestReport.load(dataset.path).rows.quarantined_spend
    lost = history[history["platform"] == "search"]["spend"].nlargest(20).sum()
    assert share == {"revenue_wrong_type": pytest.approx(lost / history["spend"].sum(), rel=1e-6)}
    assert any(line.startswith("set aside: 20 rows as revenue_wrong_type") for line in _told(dataset.path))


def test_little_of_the_money_is_told(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, _spoilt(planted(), 1))
    assert len(_told(dataset.path)) == 1


def test_impressions_are_weighed_too(tmp_path: Path) -> None:
    bad = [row(200 + number, price_paid=4.0, bid_price=2.0) for number in range(2)]
    with pytest.raises(DataError, match=r"data\.quarantine_spend: 4\.0% .*2 as price_above_bid"):
        run(tmp_path, impressions(*bad))
    (tmp_path / "one").mkdir()
    dataset = run(tmp_path / "one", impressions(bad[0]), quarantine_spend=0.03)
    assert _told(dataset.path) == ("set aside: 1 row as price_above_bid, 2.04% of the spend",)


def _told(folder: Path) -> tuple[str, ...]:
    return IngestReport.load(folder).told
