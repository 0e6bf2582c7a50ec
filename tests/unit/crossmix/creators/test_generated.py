"""The generated catalogue follows the laws that its docstring cites."""

import numpy as np
import pytest
from scipy import stats

from crossmix.creators import generated

WORLD = generated.demo(60_000, seed=0)
C = WORLD.catalogue


def test_it_is_labelled_and_the_same_for_the_same_seed() -> None:
    assert C.generated
    one, two, other = (generated.demo(50, seed=seed).catalogue for seed in (4, 4, 5))
    assert one.price_N.tolist() == two.price_N.tolist() != other.price_N.tolist()


@pytest.mark.parametrize(("followers", "median"), [(5_000, 175), (50_000, 1_100), (500_000, 7_000)])
def test_median_prices(followers: float, median: float) -> None:
    near = np.abs(np.log(C.followers_N / followers)) < 0.1
    assert np.median(C.price_N[near]) == pytest.approx(median, rel=0.08)


@pytest.mark.parametrize(
    ("channel", "nano", "mega"), [("tiktok", 0.103, 0.049), ("instagram", 0.048, 0.012), ("youtube", 0.032, 0.009)]
)
def test_interaction_rates_fall(channel: str, nano: float, mega: float) -> None:
    of = C.channel_N == C.channels.index(channel)
    for followers, rate in ((3_162, nano), (2.5e6, mega)):
        near = of & (np.abs(np.log(C.followers_N / followers)) < 0.25)
        assert np.median(C.rate_N[near]) == pytest.approx(rate, rel=0.15)


@pytest.mark.parametrize("followers", [1e4, 1e5, 1e6, 1e7])
def test_followers_are_pareto_lognormal(followers: float) -> None:
    """Survival of the law's logarithm, a normal plus an exponential; the lognormal alone is told from it far out."""
    spread, alpha = generated.FOLLOWERS_SPREAD, generated.FOLLOWERS_ALPHA
    law = stats.exponnorm(1 / (alpha * spread), loc=generated.FOLLOWERS_MU, scale=spread).sf(np.log(followers))
    error = np.sqrt(law * (1 - law) / len(C))
    assert (C.followers_N > followers).mean() == pytest.approx(law, abs=4 * error)
    alone = stats.norm(generated.FOLLOWERS_MU, spread).sf(np.log(followers))
    assert law - alone > 8 * error


def test_results_scatter_around_the_true_effect() -> None:
    ratio = np.log(C.result_E / WORLD.effect_N[C.of_E])
    assert ratio.std() == pytest.approx(generated.RESULT_SPREAD, rel=0.02)
    assert np.exp(ratio).mean() == pytest.approx(1.0, rel=0.02)
