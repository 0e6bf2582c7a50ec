"""The predictor finds the laws it is given, its law of residuals covers, and posterior means keep what they promise."""

from dataclasses import replace

import numpy as np
import pytest

from crossmix.creators import effect, generated
from crossmix.creators.settings import Effects
from crossmix.schema import DataError

WORLDS = [generated.demo(2_000, seed=700 + at) for at in range(12)]


def test_spreads_are_found() -> None:
    fitted = [effect.fit(world.catalogue) for world in WORLDS]
    for name, true in (("tau", generated.CREATOR_SPREAD), ("sigma", generated.RESULT_SPREAD)):
        values = np.asarray([getattr(one, name) for one in fitted])
        # the price tells a part of what no other column does: Var(u | price) = 0.25 (1 - 0.09 x 0.25 / (0.25 + 0.0225))
        expected = true if name == "sigma" else np.sqrt(0.25 * 0.25 / (0.25 + 0.0225))
        assert values.mean() == pytest.approx(expected, abs=4 * values.std() / np.sqrt(len(values)) + 0.004)


def test_posterior_means_keep_their_promise_where_raw_ones_do_not() -> None:
    """The winner's curse, over fresh worlds: the hundred best by each, against true effects."""
    kept, raw = [], []
    for world in WORLDS:
        c = world.catalogue
        predictor = effect.fit(c)
        mean_N = predictor.posterior(c).mean_N
        best = np.argsort(-mean_N / c.price_N)[:100]
        kept.append(mean_N[best].sum() / world.effect_N[best].sum())
        count_N = np.bincount(c.of_E, minlength=len(c))
        own_N = np.bincount(c.of_E, np.log(c.result_E), minlength=len(c)) / np.maximum(count_N, 1)
        raw_N = np.where(count_N > 0, np.exp(own_N + predictor.sigma**2 / 2), 0.0)
        best = np.argsort(-raw_N / c.price_N)[:100]
        raw.append(raw_N[best].sum() / world.effect_N[best].sum())
    assert np.mean(kept) == pytest.approx(1.0, abs=0.05)
    assert np.mean(raw) > 1.2


def test_posterior_in_closed_form() -> None:
    """With beta known (no feature uncertainty) the posterior is the textbook's normal-normal one."""
    c = WORLDS[0].catalogue
    predictor = replace(effect.fit(c), covariance_XX=np.zeros((14, 14)))
    posterior = predictor.posterior(c)
    none = predictor.posterior(replace(c, of_E=np.zeros(0, np.int64), result_E=np.zeros(0)))
    creator = int(c.of_E[0])
    logs = np.log(c.result_E[c.of_E == creator])
    precision = 1 / predictor.tau**2 + len(logs) / predictor.sigma**2
    mean = (none.log_N[creator] / predictor.tau**2 + logs.sum() / predictor.sigma**2) / precision
    assert posterior.log_N[creator] == pytest.approx(mean)
    assert posterior.variance_N[creator] == pytest.approx(1 / precision)
    assert none.variance_N[creator] == pytest.approx(predictor.tau**2)
    assert posterior.mean_N[creator] == pytest.approx(np.exp(mean + 0.5 / precision + predictor.sigma**2 / 2))


def test_draws_have_the_posteriors_mean_and_spread() -> None:
    posterior = effect.fit(WORLDS[0].catalogue).posterior(WORLDS[0].catalogue)
    drawn = np.log(posterior.draws_DN([3, 500, 900], 40_000, seed=1))
    np.testing.assert_allclose(drawn.mean(0), posterior.log_N[[3, 500, 900]], atol=0.02)
    expected = np.sqrt(posterior.variance_N[[3, 500, 900]] + posterior.sigma**2)
    np.testing.assert_allclose(drawn.std(0), expected, rtol=0.02)


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (lambda c: np.arange(len(c.result_E)) < 10, "10 in all; a predictor needs 40 or more"),
        (lambda c: np.r_[True, np.diff(c.of_E) > 0], "no creator has two"),
    ],
)
def test_too_few_results_are_refused(keep, says: str) -> None:
    c = WORLDS[0].catalogue
    with pytest.raises(DataError, match=says):
        effect.fit(replace(c, of_E=c.of_E[keep(c)], result_E=c.result_E[keep(c)]))


def test_a_result_of_nothing_counts_and_a_catalogue_of_others_is_refused() -> None:
    c = WORLDS[0].catalogue
    predictor = effect.fit(replace(c, result_E=np.r_[0.0, c.result_E[1:]]))
    assert predictor.floor == pytest.approx(c.result_E[1:].min() / 2)
    assert np.isfinite(predictor.posterior(c).mean_N).all()
    with pytest.raises(DataError, match="'radio' was not among what the predictor learned"):
        predictor.posterior(replace(c, channels=("instagram", "radio", "youtube")))
    with pytest.raises(DataError, match="all are 0"):
        effect.fit(replace(c, result_E=np.zeros(len(c.result_E))), Effects())


def test_the_spread_of_creators_is_by_restricted_likelihood() -> None:
    """One mean, as many results each: tau^2 + sigma^2 / n is the variance with n - 1 below, in closed form."""
    mean_N = np.asarray([0.0, 1.0, 3.0, 4.0])
    sums = effect._Sums.of(np.ones((4, 1)), mean_N, np.full(4, 2.0), np.zeros(1))
    assert sums.best_tau(1.0) ** 2 + 1.0 / 2 == pytest.approx(np.var(mean_N, ddof=1), rel=1e-3)
