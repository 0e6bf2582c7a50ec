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
    learned,
    prior,
)
from crossmix.creators.problem import pose
from crossmix.creators.settings import Effects, Solver
from crossmix.creators.worker import Planner
from crossmix.schema import DataError
from tests.support import creators

WORLD = generated.demo(400, seed=3)
KNOWN = WORLD.catalogue
BRIEF = creators.brief(budget=60_000)
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


def test_the_interval_of_a_plan_is_wide_and_holds_the_generated_truth() -> None:
    """Judged by the saturation that follows from the true effects."""
    planner = Planner(BARE, prior(BARE), Effects(draws=400), Solver(seconds=0.3))
    plan = planner.plan(BRIEF)
    assert 10 < plan.high / plan.low < 30
    truth = pose(BARE, WORLD.effect_N, BRIEF)
    row, cell = {name: at for at, name in enumerate(BARE.ids)}, {}
    for at in range(truth.matrix.cells):
        cell[truth.matrix.label(at)] = at
    bought = {row[one.creator_id]: cell[one.channel, one.phase, one.tier] for one in plan.choices}
    given = truth.value(np.asarray([bought.get(int(at), -1) for at in truth.row_N]))
    assert plan.low < given < plan.high


def test_where_the_level_alone_is_open_a_plan_gives_that_many_times_its_worth() -> None:
    """Closed form: saturation moves with the level, so that the plan is log-normal; not where the brief says it."""
    law = prior(BARE)
    level_XX = np.zeros_like(law.covariance_XX)
    level_XX[0, 0] = 1.0
    planner = Planner(
        BARE, replace(law, covariance_XX=level_XX, tau=1e-6, sigma=1e-6), Effects(draws=4_000), Solver(seconds=0.3)
    )
    plan = planner.plan(BRIEF)
    z = 1.2816
    # of the log quantile's estimate, four standard errors: sqrt(q (1 - q) / draws) / density at z
    error = 4 * np.sqrt(0.09 / 4_000) / 0.1755
    for end, sign in ((plan.low, -1), (plan.high, 1)):
        assert np.log(end / plan.value) == pytest.approx(sign * z - 0.5, abs=error)
    said = planner.plan(creators.brief(budget=60_000, audience={"instagram": 2e4, "tiktok": 2e4}))
    assert said.high / said.low < 0.8 * plan.high / plan.low


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


def _with(rows: np.ndarray, effect_N: np.ndarray) -> Catalogue:
    return BARE.with_results({BARE.ids[at]: [float(effect_N[at])] for at in rows})


def test_results_correct_the_laws_as_conditioning_on_them_does() -> None:
    """In closed form: the Gaussian law of all log effects and results together, conditioned on the results."""
    rows, others = np.arange(12), np.arange(12, 40)
    assumed = prior(BARE)
    known = _with(rows, WORLD.effect_N)
    found = learned(assumed, known).posterior(known)
    law = assumed.posterior(BARE)
    shared_NN = law.loading_NX @ law.covariance_XX @ law.loading_NX.T + CREATOR**2 * np.eye(len(BARE))
    gain = np.linalg.solve(shared_NN[np.ix_(rows, rows)] + RESULT**2 * np.eye(12), shared_NN[rows]).T
    log_N = law.log_N + gain @ (np.log(WORLD.effect_N[rows]) - law.log_N[rows])
    variance_N = np.diag(shared_NN) - (gain * shared_NN[:, rows]).sum(1)
    for some in (rows, others):
        np.testing.assert_allclose(found.log_N[some], log_N[some])
        np.testing.assert_allclose(found.variance_N[some], variance_N[some])


def test_results_in_another_unit_move_the_level_there() -> None:
    rows = np.arange(60)
    known, thousandth = (_with(rows, unit * WORLD.effect_N) for unit in (1.0, 0.001))
    found = learned(prior(thousandth), thousandth)
    assert 0 < found.floor <= thousandth.result_E.min() / 2
    moved = found.posterior(thousandth).log_N - learned(prior(known), known).posterior(known).log_N
    assert np.median(moved[60:]) == pytest.approx(np.log(0.001), rel=0.1)


def test_results_of_nothing_at_all_are_learned_from() -> None:
    known = _with(np.arange(5), 0 * WORLD.effect_N)
    found = learned(prior(known), known).posterior(known)
    assert (found.mean_N < prior(BARE).posterior(BARE).mean_N).all()
    assert np.isfinite(found.log_N).all()
