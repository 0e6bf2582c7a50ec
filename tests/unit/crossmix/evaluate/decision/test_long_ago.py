"""A platform that ended so long ago that no fit looks there is never tried, to decision and what-if alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from crossmix import whatif
from crossmix.evaluate.decision.change import beyond
from crossmix.evaluate.decision.standing import Standing
from crossmix.evaluate.decision.table import Decided
from crossmix.market.fit.history_series import LONGEST
from crossmix.market.model import Market
from tests.support.decisions import fitted

pytestmark = pytest.mark.slow
PLATFORMS = ("alpha", "bravo", "charlie")
ENDED, DAYS = 60, 470


def history(days: int, ended: int) -> pd.DataFrame:
    """Two campaigns that spend on all platforms, but that campaign a's charlie ended after `ended` days, when it had
    earned a fiftieth of what the others do."""
    rng = np.random.default_rng(31)
    rows = []
    for campaign in "ab":
        moved = np.zeros(len(PLATFORMS))
        for day in range(days):
            moved = 0.8 * moved + 0.18 * rng.standard_normal(len(PLATFORMS))
            for p, platform in enumerate(PLATFORMS):
                bad = campaign == "a" and platform == "charlie"
                if bad and day >= ended:
                    continue
                spend = 300 * np.exp(moved[p])
                shown = rng.poisson(100 * 300 * (spend / 300) ** 0.7)
                clicks = rng.binomial(shown, 0.02)
                conversions = rng.binomial(clicks, 0.15 * (1 + 0.2 * p) * (0.02 if bad else 1))
                rows.append((pd.Timestamp("2025-01-06") + pd.Timedelta(days=day), campaign, platform, round(spend, 2),
                             shown, clicks, conversions, 12.0 * conversions))  # fmt: skip
    names = ("date", "campaign", "platform", "spend", "impressions", "clicks", "conversions", "revenue")
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Market, Market, Decided]:
    """The market that is judged, the one that is served, and what was decided."""
    folder = tmp_path_factory.mktemp("long")
    _, judged, served, found = fitted(folder, history(DAYS, ENDED))
    return judged, served, found


def test_it_is_never_tried_to_the_decision_as_to_the_market_that_is_served(
    found: tuple[Market, Market, Decided],
) -> None:
    judged, served, decision = found
    slot, charlie = served.campaigns.index("a"), served.platforms.index("charlie")
    assert DAYS - ENDED > LONGEST
    # The part that the decision is judged on still knew it.
    assert not judged.untried[slot, charlie]
    assert served.untried.numpy().nonzero()[0].tolist() == [slot]
    for one, campaign in zip(decision.campaigns, served.campaigns, strict=True):
        assert one.tried_P.tolist() == [not (campaign == "a" and name == "charlie") for name in served.platforms]
    # Nothing there is proved beyond a probe, and what is served keeps to it.
    own = decision.campaigns[slot]
    assert own.change.today_P[charlie] == 0
    assert not (decision.proved[slot] and beyond(own.change.best_P, own.change.probe)[charlie])
    if any(decision.proved):
        assert float(decision.within(served).maximum[slot, charlie]) <= own.change.probe + 1e-6


def test_a_what_if_whose_best_split_goes_there_says_that_this_was_not_proved(
    found: tuple[Market, Market, Decided],
) -> None:
    _, served, _ = found
    answer = whatif.ask(whatif.make_scene(served, "a", draws=20), simulated_cycles=0)
    share = {one.platform: one.share.value for one in answer.budgets[0].best.platforms}["charlie"]
    assert answer.untried == ("charlie",)
    assert share > 0.1
    proved = replace(answer, standing=Standing("proved", "it earns more", None))
    told = f"never tried (charlie {share:.1%}): what that earns is borrowed"
    assert [told in note for note in proved.notes].count(True) == 1
    assert not any(told in note for note in answer.notes)
    other = whatif.ask(whatif.make_scene(served, "b", draws=20), simulated_cycles=0)
    assert not any("never tried" in note for note in replace(other, standing=proved.standing).notes)
