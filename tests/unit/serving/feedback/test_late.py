"""Rows of accounts whose conversions come late, and the law of it that a bundle carries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.ledger.feedback import Increment
from crossmix.market import usual_file
from crossmix.market.model import Market
from crossmix.state import ALLOCATION
from serving.feedback.cells import Flight, cells
from serving.feedback.late import Late, _of_longer
from serving.feedback.statistics import Known, rows_of
from tests.support.markets import make_market
from tests.unit.serving.feedback.test_together import DAYS, DECAY, PLATFORMS, SILENT, WINDOW, campaign

LAW_PD = np.tile([0.4, 0.3, 0.2, 0.1], (3, 1))


def flight(unknown: int | None = None) -> Flight:
    """A tenth of 100 clicks a day converts by `LAW_PD`, each for 20; clicks and money double on the last two days."""
    clicks_C = np.where(np.arange(DAYS) < DAYS - 2, 100.0, 200.0)
    increments = []
    for cycle in range(DAYS):
        came = sum(0.1 * part * clicks_C[max(cycle - lag, 0)] for lag, part in enumerate(LAW_PD[0]))
        delivered = (0.0, 0.0, 1000.0, clicks_C[cycle], clicks_C[cycle])
        if cycle != unknown:
            increments += [Increment(cycle, cycle, slot, delivered, (came, 20 * came)) for slot in range(3)]
    plan_C = 3 * np.append(clicks_C, [200.0, 200.0])
    return Flight(increments, set(), {}, np.full(3, 1 / 3), lambda cycle: float(plan_C[cycle]), DAYS)


# Clicks of a day that nobody knows are taken as the mean of the days around it.
@pytest.mark.parametrize(("unknown", "near"), [(None, 1e-5), (DAYS - 4, 0.05)])
def test_rows_tell_conversions_over_the_clicks_that_they_are_due_of(unknown: int | None, near: float) -> None:
    one = Known(campaign(0), cells(flight(unknown), DAYS - 1, SILENT), {})
    late, plain, beside = rows_of(
        [replace(one, delay_PD=LAW_PD), one, replace(one, delay_PD=LAW_PD)], PLATFORMS, WINDOW, DECAY
    )
    cvr, roi = (
        [ALLOCATION.of_platforms(row.values_X, name, 3) for row in (late, plain)]
        for name in ("windowed_cvr", "windowed_roi")
    )
    np.testing.assert_allclose(cvr[0], 0.1, rtol=near)
    # Each unit of money buys a click.
    np.testing.assert_allclose(roi[0], 2.0, rtol=near)
    assert (cvr[1] < 0.085).all()
    assert (roi[1] < 1.7).all()
    np.testing.assert_array_equal(late.values_X, beside.values_X)


@pytest.mark.parametrize("late", [True, False])
def test_what_stands_in_for_a_cell_is_told_over_the_clicks_that_are_due_too(late: bool) -> None:
    """Conversions that are not believed, and the return of the last cycle that is known."""
    law = LAW_PD if late else None
    one = cells(flight(), DAYS - 1, SILENT)
    unbelieved_CP = np.zeros_like(one.known_CP)
    unbelieved_CP[-2:, 0] = True
    arrived_CPQ = one.arrived_CPQ.copy()
    arrived_CPQ[-2:, 0] = 900.0
    guessed = replace(one, guessed_CP=unbelieved_CP, arrived_CPQ=arrived_CPQ)
    silent = cells(flight(DAYS - 1), DAYS - 1, SILENT)
    rows = rows_of([Known(campaign(0), read, {}, law) for read in (guessed, silent)], PLATFORMS, WINDOW, DECAY)
    cvr_P = ALLOCATION.of_platforms(rows[0].values_X, "windowed_cvr", 3)
    roi_P = ALLOCATION.of_platforms(rows[1].values_X, "last_roi", 3)
    # Each click is worth 2, each unit of money buys one; of the day before the last, whose clicks doubled, 0.4 of 200
    # and 0.6 of 100 are due: by its own clicks it earned 1.4.
    np.testing.assert_allclose(cvr_P[0], 0.1, rtol=1e-5)
    np.testing.assert_allclose(roi_P, 2.0 if late else 1.4, rtol=1e-5)


@dataclass
class Bundle:
    digest: str
    file: Path | None

    def extra(self, name: str) -> Path | None:
        assert name == "usual.npz"
        return self.file


@dataclass
class Live:
    bundle: Any
    platforms: tuple[str, ...]
    campaigns: Any = None


def totals(market: Market, delay: list[float]) -> Market:
    """As fitted from an account's totals, with this delay."""
    value = market.value | {"elasticity": torch.full_like(market.value["ctr"], 0.6)}
    return replace(market, value=value, delay=torch.tensor(delay).expand(*market.value["ctr"].shape, len(delay)))


def test_the_law_is_that_of_the_bundle_that_serves(tmp_path: Path) -> None:
    market = make_market(platforms=3)

    def stored(name: str, market: Market) -> Bundle:
        file = tmp_path / f"{name}.npz"
        file.write_bytes(usual_file.as_bytes(usual_file.Named.of(market)))
        return Bundle(name, file)

    live = Live(stored("late", totals(market, [0.5, 0.25, 0.25])), market.platforms)
    late = Late(live)
    np.testing.assert_allclose(late.of("c1", 24.0), np.tile([0.5, 0.25, 0.25], (3, 1)))
    # The law is of days: of a campaign with cycles of hours it tells nothing, of one of two days each what it leaves.
    assert late.of("c1", 1.0) is None
    assert late.of("c1", 36.0) is None
    np.testing.assert_allclose(late.of("c1", 48.0), np.tile([0.625, 0.375], (3, 1)))
    # Another bundle; conversions at once; a log of impressions; other platforms; nothing told.
    live.bundle = stored("later", totals(market, [0.2, 0.8]))
    np.testing.assert_allclose(late.of("c0", 24.0), np.tile([0.2, 0.8], (3, 1)), rtol=1e-6)
    impressions = replace(market, delay=torch.full((2, 3, 2), 0.5))
    for number, bundle in enumerate(
        (stored("at once", totals(market, [1.0, 0.0])), stored("impressions", impressions), Bundle("none", None))
    ):
        live.bundle = bundle
        assert late.of("c0", 24.0) is None, number
    live.platforms = ("a", "b", "c")
    live.bundle = stored("elsewhere", totals(market, [0.2, 0.8]))
    assert late.of("c0", 24.0) is None


def test_a_campaign_that_the_history_does_not_name_has_the_accounts_law(tmp_path: Path) -> None:
    """Served under a name of its own its clicks doubled on the last two days, and most of their conversions are due."""
    market = totals(make_market(platforms=3), LAW_PD[0].tolist())
    file = tmp_path / "usual.npz"
    file.write_bytes(usual_file.as_bytes(usual_file.Named.of(market)))
    late = Late(Live(Bundle("late", file), market.platforms))
    own = late.of("summer", 24.0)
    np.testing.assert_allclose(own, LAW_PD, rtol=1e-6)
    one = Known(campaign(0), cells(flight(), DAYS - 1, SILENT), {}, own)
    (row,) = rows_of([one], PLATFORMS, WINDOW, DECAY)
    np.testing.assert_allclose(ALLOCATION.of_platforms(row.values_X, "windowed_cvr", 3), 0.1, rtol=1e-5)
    np.testing.assert_allclose(ALLOCATION.of_platforms(row.values_X, "windowed_roi", 3), 2.0, rtol=1e-5)
    # Beside campaigns that are told apart, one that comes at once keeps its own, and others have the mean.
    delay = torch.tensor([[1.0, 0.0], [0.4, 0.6]])[:, None].expand(2, 3, 2)
    file.write_bytes(usual_file.as_bytes(usual_file.Named.of(replace(market, delay=delay))))
    late = Late(Live(Bundle("apart", file), market.platforms))
    assert late.of("c0", 24.0) is None
    np.testing.assert_allclose(late.of("c1", 24.0), np.tile([0.4, 0.6], (3, 1)), rtol=1e-6)
    np.testing.assert_allclose(late.of("summer", 24.0), np.tile([0.7, 0.3], (3, 1)), rtol=1e-6)


def test_a_law_of_days_in_weeks() -> None:
    """A conversion eight days after its click comes one week later, or two where the click was on the last day."""
    law_PD = np.zeros((1, 9))
    law_PD[0, 8] = 1.0
    np.testing.assert_allclose(_of_longer(law_PD, 7), [[0.0, 6 / 7, 1 / 7]], atol=1e-12)
    np.testing.assert_allclose(_of_longer(law_PD, 1), law_PD)
    np.testing.assert_allclose(_of_longer(np.array([[0.5, 0.5]]), 7), [[13 / 14, 1 / 14]])
