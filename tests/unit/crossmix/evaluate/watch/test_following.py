"""What is kept between looks goes on where it was; campaigns are put in the bundle's order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from crossmix.evaluate.watch.following import Kept, Shown, follow, spread
from crossmix.feedback import pooled
from tests.support import watching


def test_following_in_parts_through_bytes_is_following_at_once() -> None:
    expectation = watching.expectation()
    feedback = pooled(list(watching.flight(40, 7).values()))
    threads = torch.get_num_threads()
    whole, shown = follow(expectation, Kept.begin(expectation), feedback)
    kept, scores = Kept.begin(expectation), []
    for first, stop in ((0, 3), (3, 4), (4, 4), (4, 40)):
        kept, part = follow(expectation, Kept.from_bytes(kept.as_bytes()), feedback.between(first, stop))
        scores.append(part.looked.score)
    np.testing.assert_array_equal(np.concatenate(scores), shown.looked.score)
    np.testing.assert_array_equal(kept.z_NPQ, whole.z_NPQ)
    assert kept.z_NPQ.shape == (28, 3, 5)
    np.testing.assert_array_equal(kept.track.cusum_2FPK, whole.track.cusum_2FPK)
    np.testing.assert_array_equal(kept.state.level_QHCP.numpy(), whole.state.level_QHCP.numpy())
    assert torch.get_num_threads() == threads


def test_campaigns_that_have_no_feedback_teach_and_tell_nothing() -> None:
    expectation = watching.expectation()
    feedback = pooled(list(watching.flight(12, 7).values()))
    names = ("c0", "c1")
    both = spread(feedback.only(np.array([True, True])), tuple(feedback.campaigns))
    np.testing.assert_array_equal(both.spend_TCP, feedback.spend_TCP)
    alone = spread(replace(feedback, campaigns=names).only(np.array([False, True])), names)
    assert (alone.cycle_TC[:, 0] == -1).all()
    assert np.isnan(alone.spend_TCP[:, 0]).all()
    np.testing.assert_array_equal(alone.clicks_TCP[:, 1], feedback.clicks_TCP[:, 1])
    kept, shown = follow(expectation, Kept.begin(expectation), alone)
    assert np.isnan(shown.z_TCPQ[:, 0]).all()
    assert np.isfinite(shown.z_TCPQ[:, 1]).any()
    start = Kept.begin(expectation).state
    np.testing.assert_array_equal(kept.state.level_QHCP[:, :, 0].numpy(), start.level_QHCP[:, :, 0].numpy())


def test_what_is_shown_is_cut_and_joined_by_cycle() -> None:
    expectation = watching.expectation()
    feedback = pooled(list(watching.flight(12, 7).values()))
    _, whole = follow(expectation, Kept.begin(expectation), feedback)
    assert (len(whole), whole.cycle_T.tolist()) == (12, list(range(12)))
    again = Shown.from_bytes(whole.between(0, 5).then(whole.last(7)).as_bytes())
    for name, table in whole.tables().items():
        np.testing.assert_array_equal(again.tables()[name], table, name)
    assert whole.last(3).cycle_T.tolist() == [9, 10, 11]
    assert whole.last(99).looked.z_WTFPQ.shape == whole.looked.z_WTFPQ.shape
