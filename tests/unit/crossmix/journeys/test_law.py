"""The law of users' clicks: its links in closed form, what is planted, and how far fresh samples differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from crossmix.journeys import law as laws
from crossmix.journeys.law import LIKING, USER
from crossmix.journeys.log import Floats, JourneyError

BASE = np.array([-2.4, -1.8, -1.2])


def drawn(
    rng: np.random.Generator, users: int, shown: int, *, logarithm: bool = False, two_kinds: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Exposures and clicks of users on three channels, (U, C) each: user effects of 0.8 and likings of 0.4."""
    user_U1 = 0.8 * rng.standard_normal((users, 1))
    if two_kinds:
        user_U1 = np.where(rng.random((users, 1)) < 0.5, -0.8, 0.8)
    eta_UC = BASE + user_U1 + 0.4 * rng.standard_normal((users, 3))
    p_UC = np.minimum(np.exp(eta_UC), 0.9) if logarithm else expit(eta_UC)
    shown_UC = rng.multinomial(shown, [0.5, 0.3, 0.2], users)
    return shown_UC.astype(float), rng.binomial(shown_UC, p_UC).astype(float)


def theta(link: float, third: float = 0.0, fourth: float = 0.0) -> torch.Tensor:
    return torch.tensor(
        [-1.8, -0.6, 0.0, 0.6, np.log(0.8), np.log(0.4), np.log(link), third, fourth], dtype=torch.float64
    )


def eta() -> np.ndarray:
    return BASE[:, None, None] + 0.8 * USER[:, None] + 0.4 * LIKING


@pytest.mark.parametrize(
    ("link", "chance"),
    [(1.0, expit), (2.0, lambda eta: np.exp(eta) / np.sqrt(1 + np.exp(2 * eta))), (1e4, lambda eta: np.exp(eta))],
)
def test_links_are_the_logistic_one_and_others_up_to_the_logarithm(link: float, chance: Callable[..., Floats]) -> None:
    """Where the logarithm has a chance."""
    held = (eta() < -1e-2) | (link < 1e3)
    click_CIJ, not_CIJ, log_I = laws.grids(theta(link))
    np.testing.assert_allclose(click_CIJ.exp()[held], chance(eta())[held], rtol=1e-6)
    np.testing.assert_allclose(not_CIJ.exp()[held], 1 - chance(eta())[held], rtol=1e-6)
    np.testing.assert_allclose(log_I.exp(), np.exp(-(USER**2) / 2) / np.exp(-(USER**2) / 2).sum())


def test_users_distribution_leans_by_its_skew_and_gathers_by_its_kurtosis() -> None:
    weight_I = laws.grids(theta(1.0, third=0.2))[2].exp().numpy()
    assert weight_I @ (USER - weight_I @ USER) ** 3 > 0.3
    flat, normal = (laws.grids(theta(1.0, fourth=one))[2].exp().numpy() for one in (-0.3, 0.0))
    assert (flat @ USER**4) / (flat @ USER**2) ** 2 < (normal @ USER**4) / (normal @ USER**2) ** 2 - 0.3


def test_a_likelihood_is_the_sum_over_the_grid() -> None:
    rng = np.random.default_rng(0)
    shown_UC, clicks_UC = drawn(rng, 7, 9)
    p_CIJ = expit(eta())
    weight_J = np.exp(-(LIKING**2) / 2) / np.exp(-(LIKING**2) / 2).sum()
    weight_I = np.exp(-(USER**2) / 2) / np.exp(-(USER**2) / 2).sum()
    by_hand = [
        weight_I
        @ np.prod([((p_CIJ[c] ** k[c]) * (1 - p_CIJ[c]) ** (n[c] - k[c])) @ weight_J for c in range(3)], axis=0)
        for n, k in zip(shown_UC, clicks_UC, strict=True)
    ]
    told_U = laws.Cells.of(shown_UC, clicks_UC).told(theta(1.0))
    np.testing.assert_allclose(told_U, np.log(by_hand), rtol=1e-9)


def test_a_planted_link_and_two_kinds_of_users_are_found() -> None:
    """4,000 users of 20 exposures: links are told apart, two kinds of users have little kurtosis, and chances of users
    within two deviations are those planted, to 0.2 of their logarithm.
    """
    inner, found = np.abs(USER) <= 2, {}
    for name, kinds in (("logistic", {}), ("logarithm", {"logarithm": True}), ("kinds", {"two_kinds": True})):
        found[name] = laws.likeliest(*drawn(np.random.default_rng(1), 4_000, 20, **kinds))[0]
    assert float(found["logarithm"][-3] - found["logistic"][-3]) > 0.5
    assert float(found["kinds"][-1]) < -0.2
    eta_CI = (BASE[:, None] + 0.8 * USER)[:, inner]
    for name, true_CI in (("logistic", np.log(expit(eta_CI))), ("logarithm", np.minimum(eta_CI, np.log(0.9)))):
        said_CI = laws.grids(found[name])[0][:, inner, len(LIKING) // 2]
        np.testing.assert_allclose(said_CI, true_CI, atol=0.2)


def test_a_search_that_breaks_off_goes_on_and_one_that_never_settles_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five rounds by gradients, then Newton's steps, and none of those."""
    counts = drawn(np.random.default_rng(3), 300, 12)
    whole, _ = laws.likeliest(*counts)
    monkeypatch.setattr(laws, "GRADIENTS", {"maxiter": 5})
    theta_P, root_PP = laws.likeliest(*counts)
    assert float(torch.linalg.solve(root_PP, theta_P - whole).norm()) < 0.3
    monkeypatch.setattr(laws, "STEPS", 0)
    with pytest.raises(JourneyError, match=r"no law of users' clicks settles .* drop users"):
        laws.likeliest(*counts)


def test_a_law_told_by_many_users_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is small in the mean over 8,000 users is not in their sum: the search goes on from there."""
    counts = drawn(np.random.default_rng(4), 8_000, 15)
    monkeypatch.setattr(laws, "GRADIENTS", {"gtol": 1e-4})
    with monkeypatch.context() as short:
        short.setattr(laws, "STEPS", 0)
        with pytest.raises(JourneyError, match="deviations off"):
            laws.likeliest(*counts)
    theta_P, root_PP = laws.likeliest(*counts)
    cells = laws.Cells.of(*counts)
    slope_P = torch.func.jacrev(lambda one: cells.told(one).sum())(theta_P) - laws._precision(counts[0].shape[1]) * (
        theta_P - laws.begin(counts[0].shape[1], float(logit((counts[1].sum() + 0.5) / (counts[0].sum() + 1))))
    )
    assert float((root_PP.T @ slope_P).norm()) < laws.OFF


@pytest.mark.slow
def test_the_law_s_deviation_is_that_of_fresh_samples() -> None:
    """Of the chance of a click of users in the middle, over 30 samples: their scatter and the deviation told."""
    middle = len(USER) // 2, len(LIKING) // 2
    said, told = [], []
    for seed in range(30):
        theta_P, root_PP = laws.likeliest(*drawn(np.random.default_rng([seed, 2]), 1_000, 12))
        slope_CP = torch.func.jacfwd(lambda one: laws.grids(one)[0][:, *middle])(theta_P) @ root_PP
        said.append(laws.grids(theta_P)[0][:, *middle].numpy())
        told.append(slope_CP.norm(dim=1).numpy())
    assert np.mean(told) == pytest.approx(np.sqrt(np.var(said, 0).mean()), rel=0.25)
