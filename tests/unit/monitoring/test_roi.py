"""The paper's rule by hand, its interval, and that it only informs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitoring.roi import Settings, look, rule
from tests.support import watching
from tests.support.watching import DAY, START


def ruled(roi: list[float], **changes: float):  # type: ignore[no-untyped-def]
    spend_T = np.full(len(roi), 200.0)
    return rule(np.array(roi) * spend_T, spend_T, Settings(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "fired"),
    [([0.89, 0.89, 0.89], True), ([0.89, 0.91, 0.5], False), ([0.5, 0.5, 0.91], False), ([0.9, 0.9, 0.9], False)],
)
def test_three_days_on_end_must_each_be_more_than_a_tenth_below(last: list[float], fired: bool) -> None:
    found = ruled([1.0] * 20 + last)
    assert found.fired == fired
    assert found.before == pytest.approx(1.0)
    assert found.drop == pytest.approx(1 - np.mean(last))


def test_before_is_the_window_and_not_what_was_earlier() -> None:
    found = ruled([9.0] * 30 + [2.0] * 20 + [1.7] * 3)
    assert found.before == pytest.approx(2.0)
    assert found.fired
    assert not ruled([9.0] * 30 + [2.0] * 20 + [1.7] * 3, drop=0.2).fired


def test_the_interval_is_that_of_the_logarithms() -> None:
    before = [0.8, 1.25] * 5
    found = ruled([*before, 0.7, 0.7, 0.7])
    deviation = np.log(1.25) * np.sqrt(10 / 9)
    reach = stats.t.ppf(0.975, 9) * deviation * np.sqrt(1 / 3 + 1 / 10)
    middle = np.log(0.7 / np.mean(before))
    assert (found.low, found.high) == pytest.approx((1 - np.exp(middle + reach), 1 - np.exp(middle - reach)))
    assert np.isnan(ruled([1.0, 1.0, 0.5, 0.5, 0.5]).low)


def test_too_little_tells_nothing() -> None:
    assert ruled([1.0, 0.5, 0.5]) is None
    assert ruled([0.0, 0.5, 0.5, 0.5]) is None


def test_it_reads_the_ledger_and_never_alarms(database: str) -> None:
    arms = watching.flight(15, 3)
    store = watching.begun(database)
    watching.report(store, arms, 0, 15)
    (finding,) = look(store, START + 15 * DAY, Settings(drop=0.0))
    revenue, spend = (
        np.sum([getattr(one, name).sum((1, 2)) for one in arms.values()], axis=0)
        for name in ("revenue_TCP", "spend_TCP")
    )
    before = revenue[:12].sum() / spend[:12].sum()
    assert finding.observed == pytest.approx(1 - revenue[12:].sum() / spend[12:].sum() / before)
    assert not finding.alarming
    assert finding.unit == "of ROI in USD"
