"""Public laws in place of past results: what they say in closed form, how wide their doubt is, when they are asked."""

from dataclasses import replace

import numpy as np
import pytest

from crossmix.creators import generated
from crossmix.creators.catalogue import Catalogue
from crossmix.creators.effect import fit
from crossmix.creators.prior import (
    CREATOR,
    LEVEL,
    OF_CHANNEL,
    OF_CONTENT,
    OF_FOLLOWERS,
    OF_QUALITY,
    OF_RATE,
    RESULT,
    fitted_or_prior,
    prior,
)
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


def test_what_a_channel_and_a_content_type_are_called_changes_nothing() -> None:
    """Identical creators on each channel with each content type have one law; renamed, everybody keeps his own."""
    channel_N, content_N = (one.reshape(-1) for one in np.indices((3, 3)))
    nine = replace(
        BARE,
        ids=BARE.ids[:9],
        channel_N=channel_N,
        content_N=content_N,
        followers_N=np.full(9, 20_000.0),
        price_N=np.full(9, 500.0),
        rate_N=np.full(9, 0.04),
        quality_N=np.full(9, 0.7),
    )
    same = prior(nine).posterior(nine)
    np.testing.assert_allclose(same.mean_N, same.mean_N[0])
    np.testing.assert_allclose(same.variance_N, LEVEL**2 + OF_CHANNEL**2 + OF_CONTENT**2 + CREATOR**2 + _slopes(nine))
    turned = replace(BARE, channel_N=(BARE.channel_N + 1) % 3, content_N=(BARE.content_N + 2) % 3)
    found, again = prior(BARE).posterior(BARE), prior(turned).posterior(turned)
    np.testing.assert_allclose(again.mean_N, found.mean_N)
    np.testing.assert_allclose(again.variance_N, found.variance_N)


def test_creators_of_one_channel_and_content_type_share_more_than_others() -> None:
    found = prior(BARE).posterior(BARE)
    shared_NN = found.loading_NX @ found.covariance_XX @ found.loading_NX.T
    slopes = np.stack([(np.log(BARE.followers_N) - 10) * OF_FOLLOWERS, (np.log(BARE.rate_N) + 3) * OF_RATE], axis=1)
    slopes = np.column_stack([slopes, np.log(np.maximum(BARE.quality_N, 0.05)) * OF_QUALITY])
    same_channel = BARE.channel_N[:, None] == BARE.channel_N
    same_content = BARE.content_N[:, None] == BARE.content_N
    expected = LEVEL**2 + slopes @ slopes.T + OF_CHANNEL**2 * same_channel + OF_CONTENT**2 * same_content
    np.testing.assert_allclose(shared_NN, expected, atol=1e-9)


def _slopes(of: Catalogue) -> np.ndarray:
    """Variance of what the exponents add."""
    return (
        ((np.log(of.followers_N) - 10) * OF_FOLLOWERS) ** 2
        + ((np.log(of.rate_N) + 3) * OF_RATE) ** 2
        + (np.log(np.maximum(of.quality_N, 0.05)) * OF_QUALITY) ** 2
    )
