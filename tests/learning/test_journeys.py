"""How often a response's interval holds the exact Bayesian answer, in a planted world whose users are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from benchmarks._exact_clicks import counts, exact, truth
from crossmix.config import Demo
from crossmix.journeys.measured import of_users
from crossmix.journeys.windows import TEST
from tests.support.journeys_run import USERS, learned


@pytest.mark.slow
def test_intervals_hold_the_exact_answer() -> None:
    """Of 300 test users after their last exposure; benchmarks/journeys_told.json has larger worlds, one by one.

    Errors of a channel's rate are shared by all users, so that the share held scatters from world to world.
    """
    one = learned()
    known = truth(Demo(seed=5, users=USERS, creatives=5, campaigns=1, days=2))
    np.testing.assert_array_equal(known.world.click_UC, one.world.click_UC)
    test = one.ready.is_of(TEST) & np.isin(np.arange(len(one.log.users)), one.log.user_R)
    last = of_users(one.log, np.flatnonzero(test))
    end_U = np.flatnonzero(~last.has_next_R)
    exact_UC = exact(known, *(count_RC[end_U] for count_RC in counts(last)))
    said = one.response.answer(last)
    covered_UC = (said.click_low_UC <= exact_UC) & (exact_UC <= said.click_high_UC)
    width_UC = logit(said.click_high_UC) - logit(said.click_low_UC)
    error_UC = logit(said.click_UC) - logit(exact_UC)
    steps_U = counts(last)[0][end_U].sum(1)
    for some_U, least in ((steps_U <= 10, 0.85), (steps_U > 10, 0.85)):
        assert some_U.sum() > 80
        assert covered_UC[some_U].mean() > least
        assert width_UC[some_U].mean() < 8 * np.sqrt(np.square(error_UC[some_U]).mean())
    assert np.corrcoef(said.click_UC.ravel(), exact_UC.ravel())[0, 1] > 0.95
