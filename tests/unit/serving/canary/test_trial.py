"""What a canary's arm begins with: the policy's history at its own size, then its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Increment
from crossmix.ledger.served import Split
from serving.assignment.arms import Experiment
from serving.canary.trial import Trial
from serving.live.champion import Serving
from tests.unit.serving.canary.test_arms import DAY, MIDNIGHT, canary

BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
CAMPAIGN = Campaign("c", "EUR", 1_000.0, {"a": 1.0}, {}, BEGINS, 60, 24.0)
"""Its cycle 5 begins at `test_arms.MIDNIGHT`."""


def trial(experiment: Experiment) -> Trial:
    champion: Any = None
    return Trial(champion, lambda: experiment)


TRIED = replace(Experiment("e", "salt"), canaries=(canary((0.4, 0.1), (7.4, 0.2)),))


def told(cycle: int, known: int, amount: float) -> Increment:
    return Increment(known, cycle, 0, (amount,) * 5, (amount, 10 * amount))


def test_it_has_the_cycles_that_begin_in_it() -> None:
    assert trial(TRIED).first(CAMPAIGN) == 6
    assert trial(Experiment("e", "salt")).first(CAMPAIGN) is None
    at_midnight = replace(Experiment("e", "salt"), canaries=(canary((0.0, 0.1)),))
    assert trial(at_midnight).first(CAMPAIGN) == 5
    later = replace(CAMPAIGN, starts=BEGINS + timedelta(days=30))
    assert trial(TRIED).first(later) == 0, "a campaign that begins while it runs"


def test_its_part_before_its_first_cycle_is_that_of_it() -> None:
    one = trial(TRIED)
    weights = [one.weight("canary", CAMPAIGN, cycle) for cycle in (0, 5, 6, 12, 13)]
    assert weights == pytest.approx([0.07, 0.07, 0.07, 0.07, 0.14])
    assert [one.weight("policy", CAMPAIGN, cycle) for cycle in (5, 6)] == pytest.approx([0.7, 0.63])


def test_its_history_is_the_policys_at_its_own_size_and_then_its_own() -> None:
    share_P = np.ones(1)
    policy = (
        [told(4, 4, 100.0), told(5, 7, 50.0), told(6, 6, 90.0)],
        {(4, 0), (6, 0)},
        {4: Split(share_P, 700.0), 6: Split(share_P, 630.0)},
    )
    own = ([told(2, 2, 3.0), told(6, 6, 8.0)], {(2, 0), (6, 0)}, {2: Split(share_P, 70.0), 6: Split(share_P, 70.0)})
    increments, complete, splits = trial(TRIED).history(CAMPAIGN, policy, own)
    assert [(one.cycle, one.known) for one in increments] == [(4, 4), (5, 7), (6, 6)]
    assert [one.delivered[0] for one in increments] == pytest.approx([10.0, 5.0, 8.0])
    assert [one.arrived for one in increments] == [pytest.approx((v, 10 * v)) for v in (10.0, 5.0, 8.0)]
    assert complete == {(4, 0), (6, 0)}, "what an earlier canary had is not this one's"
    assert {cycle: one.budget for cycle, one in splits.items()} == pytest.approx({4: 70.0, 6: 70.0})
    assert trial(Experiment("e", "salt")).history(CAMPAIGN, policy, own) is own


def serving(digest: str, version: int) -> Serving:
    bundle: Any = SimpleNamespace(digest=digest, path=Path(digest))
    return Serving(bundle, version, 0.0)


class FakeChampion:
    """Has every bundle, unless it is away."""

    def __init__(self) -> None:
        self.current, self.spare, self.away = serving("c" * 64, 1), None, False

    def bundle_of(self, version: int, digest: str) -> Any:
        if self.away:
            raise ConnectionError("refused")
        return serving(digest, version).bundle


def test_its_bundle_answers_its_own_cycles_alone() -> None:
    first, second = canary((0.4, 0.5), ended=3.4), replace(canary((3.5, 0.1), number=2), version=3, bundle="d" * 64)
    known = replace(Experiment("e", "salt"), canaries=(canary((0.4, 0.5)),))
    champion: Any = FakeChampion()
    one = Trial(champion, lambda: known)
    assert (one.version, one.serving(MIDNIGHT + DAY).version) == (None, 1), "its bundle is not there yet"
    one.follow()
    assert (one.version, one.serving(MIDNIGHT + DAY).version, champion.spare) == (2, 2, Path("b" * 64))
    assert one.serving(MIDNIGHT).version == 1, "the policy's cycle, which it began in"
    assert one.serving(None).version == 1
    known = replace(known, canaries=(first, second))
    champion.away = True
    one.follow()
    assert one.trouble == "version 3 is not there, the champion serves its users: refused"
    assert (one.version, one.serving(MIDNIGHT + 4 * DAY).version) == (None, 1), "the bundle is the first one's"
    champion.away = False
    one.follow()
    assert (one.version, one.serving(MIDNIGHT + 4 * DAY).version, one.trouble) == (3, 3, None)
    assert one.serving(MIDNIGHT + 3 * DAY).version == 1, "a cycle of the first one"
    known = replace(known, canaries=(first, replace(second, ended=MIDNIGHT + 5 * DAY)))
    one.follow()
    assert (one.version, one.serving(MIDNIGHT + 4 * DAY).version, champion.spare) == (None, 1, None)
