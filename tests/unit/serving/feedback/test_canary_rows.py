"""Statistics of the arm of a version on trial: they go on from the policy's history at its own size, and nobody makes
any where none is on trial."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from crossmix.ledger import pushes
from crossmix.ledger.canaries import Canary
from serving.canary.trial import Trial
from serving.feedback.materialise import Pusher
from tests.support.pushing import DAY, DECAY, SHARE, WINDOW, World
from tests.support.serving_live import START, event

BEGAN = START + timedelta(days=3, hours=12)
"""In cycle 3: its first is 4."""
PART = {"policy": 0.7, "control": 0.3, "canary": 0.07}


def reports(cycle: int, **parts: float) -> list[dict[str, Any]]:
    """A cycle's reports of every platform in these arms, in proportion to their parts."""
    return [
        event(
            f"{arm}-{name}-{cycle}",
            campaign_id="c0",
            arm=arm,
            platform=name,
            cycle=cycle,
            spend=900 * part * share,
            revenue=(2_000 + 100 * cycle) * part * share,
            requests=2_000_000 * part * share,
            impressions=1_000_000 * part * share,
            clicks=10_000 * part * share,
            conversions=1_000 * part * share,
        )
        for arm, part in parts.items()
        for name, share in SHARE.items()
    ]


def round_(world: World, days: float) -> Pusher:
    clock = lambda: START + days * DAY  # noqa: E731
    trial = Trial(None, lambda: world.live.experiment)  # type: ignore[arg-type]
    one = Pusher(world, world.folder, window=WINDOW, decay=DECAY, clock=clock, trial=trial)
    one.once()
    assert one.trouble is None
    return one


@pytest.fixture
def tried(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Four cycles of the experiment, and then one of three arms."""
    monkeypatch.setattr(world, "weight", lambda arm, start: world.live.experiment.part(arm, start))
    for cycle in range(4):
        world.take(cycle + 0.9, *reports(cycle, policy=0.7, control=0.3))
    begun = ((BEGAN, 0.1),)
    canary = Canary(1, 2, "b" * 64, 1, "ann", BEGAN, (0.1,), 7, 0.0, 0.05, 0, BEGAN, begun)
    world.live.experiment = replace(world.live.experiment, canaries=(canary,))
    world.take(4.9, *reports(4, policy=0.63, control=0.3, canary=0.07))
    return world


def test_it_goes_on_from_the_policys_history_at_its_own_size(tried: World) -> None:
    assert round_(tried, 5.1).pushed > 0
    # An arm that did as well and was always of one size, as control was, has the same statistics: all are relative.
    assert tried.row("canary") == pytest.approx(tried.row("control"), abs=1e-5)
    assert tried.field("windowed_roi", "canary") == pytest.approx(tried.field("windowed_roi"), rel=0.01)
    assert tried.field("windowed_roi", "canary").min() > 0
    assert pushes.all_newest(tried.store)["c0", "canary"] == 4


def test_where_none_is_on_trial_its_arm_has_no_rows_and_no_gaps(tried: World) -> None:
    row = tried.live.experiment.canaries[0]
    over = replace(row, ended=START + timedelta(days=4, hours=22), outcome="ended", reason="enough")
    tried.live.experiment = replace(tried.live.experiment, canaries=(over,))
    round_(tried, 5.1)
    assert ("c0", "canary") not in pushes.all_newest(tried.store)
    assert {arm for _, arm, _ in tried.gaps.ages(tried.campaigns, START + 5.1 * DAY)} == {"policy", "control"}
    assert not any("canary" in trouble["why"] for trouble in tried.gaps.troubles())
