"""The filter without a market is the filter with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from crossmix.evaluate.watch.flights import fly, static
from crossmix.evaluate.watch.walk import walk
from crossmix.market import levels
from crossmix.market.level_evidence import Usual
from tests.support import watching


def test_it_is_the_levels_own_walk_at_once_and_in_parts() -> None:
    market, law = watching.market(), watching.small().levels
    arms = watching.flight(15, 3)
    for feedback in arms.values():
        known = levels.follow(market, replace(feedback, campaigns=market.campaigns), law)
        found = walk(Usual.of(market), law, feedback)
        np.testing.assert_array_equal(found.residuals.z_TCPQ, known.residuals.z_TCPQ)
        torch.testing.assert_close(found.state.level_QHCP, known.state.level_QHCP, rtol=0, atol=0)
        before = walk(Usual.of(market), law, feedback.between(0, 9))
        after = walk(Usual.of(market), law, feedback.between(9, 15), before.state)
        np.testing.assert_array_equal(after.residuals.z_TCPQ, found.residuals.z_TCPQ[9:])


def test_flights_side_by_side_do_not_touch_each_other() -> None:
    market, law = watching.market(), watching.small().levels
    (feedback,) = fly(watching.small(), market, [(static, 1.0)], flights=3, cycles=10, seed=9)
    whole = walk(Usual.of(market, torch.tensor([0, 1] * 3)), law, feedback).residuals
    alone = feedback.only(np.arange(6) // 2 == 1)
    np.testing.assert_allclose(walk(Usual.of(market), law, alone).residuals.z_TCPQ, whole.z_TCPQ[:, 2:4])


def test_of_no_cycles_it_tells_nothing() -> None:
    market, law = watching.market(), watching.small().levels
    found = walk(Usual.of(market), law, watching.flight(15, 3)["policy"].between(0, 0))
    assert found.residuals.z_TCPQ.shape == (0, 2, 3, 5)
