"""Public laws in place of past results: what they say in closed form, how wide their doubt is, when they are asked."""

from dataclasses import replace

import numpy as np
import pytest

from crossmix.creators import generated
from crossmix.creators.effect import fit
from crossmix.creators.prior import CREATOR, LEVEL, OF_FOLLOWERS, RESULT, fitted_or_prior, prior
from crossmix.schema import DataError

WORLD = generated.demo(400, seed=3)
KNOWN = WORLD.catalogue
BARE = replace(KNOWN, of_E=KNOWN.of_E[:0], result_E=KNOWN.result_E[:0])


def test_log_effects_are_the_laws() -> None:
    found = prior(BARE).posterior(BARE)
    impressions = 1_500 * (BARE.followers_N / 5_000) ** 0.6
    np.testing.assert_allclose(found.log_N, np.log(impressions * BARE.rate_N * np.maximum(BARE.quality_N, 0.05)))


def test_doubt_grows_away_from_the_middle_and_is_never_less_than_the_levels() -> None:
    found = prior(BARE).posterior(BARE)
    assert (found.variance_N >= LEVEL**2 + CREATOR**2).all()
    assert found.sigma == RESULT
    far = (np.log(BARE.followers_N) - 10) ** 2 * OF_FOLLOWERS**2
    assert np.corrcoef(far, found.variance_N)[0, 1] > 0.3


def test_the_interval_of_a_sum_is_wide_and_holds_the_generated_truth() -> None:
    draws_DN = prior(BARE).posterior(BARE).draws_DN(np.arange(50), 2_000, seed=1)
    low, high = np.quantile(draws_DN.sum(1), (0.1, 0.9))
    assert high / low > 8
    assert low < WORLD.effect_N[:50].sum() < high


def test_it_is_asked_where_there_is_no_result_and_never_beside_some() -> None:
    assert fitted_or_prior(BARE).results == 0
    assert fitted_or_prior(KNOWN).tau == fit(KNOWN).tau
    few = replace(KNOWN, of_E=KNOWN.of_E[:30], result_E=KNOWN.result_E[:30])
    with pytest.raises(
        DataError, match="30 in all; a predictor needs 40 or more, 10 are missing; or leave past_results"
    ):
        fitted_or_prior(few)
