"""How often a response's interval holds the exact Bayesian answer, in a planted world whose users are known."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.journeys.windows import TEST, TRAIN
from tests.support.journeys_run import learned


@pytest.mark.slow
def test_intervals_hold_the_exact_answer_more_often_than_not() -> None:
    """Exact: the mean of click probabilities over all training users, weighted by how likely each makes the journey.

    The interval is of what another sample of users would have changed. What so small a network cannot express is in
    none, so that fewer than 95 % of the exact answers lie inside.
    """
    one = learned()
    pool = one.world.click_UC[one.ready.is_of(TRAIN)]
    test = one.ready.is_of(TEST) & np.isin(np.arange(len(one.log.users)), one.log.user_R)
    log_UP = np.zeros((len(one.log.users), len(pool)))
    for row in np.flatnonzero(test[one.log.user_R]):
        p_P = pool[:, one.log.channel_R[row]]
        log_UP[one.log.user_R[row]] += np.log(p_P if one.log.clicked_R[row] else 1 - p_P)
    weight_UP = np.exp(log_UP - log_UP.max(1, keepdims=True))
    exact_UC = (weight_UP / weight_UP.sum(1, keepdims=True)) @ pool
    said = one.response.answer(one.log)
    inside_UC = (said.click_low_UC <= exact_UC) & (exact_UC <= said.click_high_UC)
    covered = float(inside_UC[test].mean())
    assert 0.6 < covered < 0.99, covered
    assert np.corrcoef(said.click_UC[test].ravel(), exact_UC[test].ravel())[0, 1] > 0.85
