"""The planted worlds of `benchmarks.field`: histories have the truth that the worlds say, and optima are optima."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks._field_kinds import INSIDE, KINDS, OUTSIDE
from benchmarks._field_responses import best
from benchmarks._field_worlds import World, world

QUICK = [kind for kind in KINDS if not kind.startswith("auction")]
PLAYED = [*QUICK, "auction-56-days"]


def by_cell(made: World, column: str) -> np.ndarray:
    """A column of the history summed, (C, P)."""
    table = made.named
    total = table.pivot_table(index="campaign", columns="platform", values=column, aggfunc="sum", fill_value=0)
    return total.reindex(index=made.campaigns, columns=made.platforms).to_numpy(float)


@pytest.mark.parametrize("kind", PLAYED)
def test_a_world_is_a_history_with_a_truth(kind: str) -> None:
    made = world(kind, 3)
    assert made.frame.equals(world(kind, 3).frame)
    assert not made.frame.equals(world(kind, 4).frame)
    assert set(made.frame["platform"]) == set(made.platforms)
    assert ("campaign" in made.frame) == (len(made.campaigns) > 1 or bool(made.settings))
    days = made.frame["date"].nunique() * made.days_per_row
    assert days == KINDS[kind].days
    assert (made.frame["conversions"] <= made.frame["clicks"]).all()
    assert (made.frame["clicks"] <= made.frame["impressions"]).all()
    ran = by_cell(made, "spend") > 0
    assert (ran == made.tried_CP).all()
    assert ((made.today_CP > 0) == made.tried_CP).all()


@pytest.mark.parametrize("kind", [kind for kind in PLAYED if kind != "demand" and not KINDS[kind].moves])
def test_what_was_earned_is_what_the_world_expects(kind: str) -> None:
    """Over many seeds revenue is that of each row's own spend: noise is of mean 1, delays lose the last days' part."""
    seeds = range(1 if kind.startswith("auction") else 12)
    earned = expected = 0.0
    for made in (world(kind, seed) for seed in seeds):
        earned += float(made.frame["revenue"].sum())
        for (campaign, platform), rows in made.named.groupby(["campaign", "platform"]):
            cell = (..., made.campaigns.index(campaign), made.platforms.index(platform))
            spend_NCP = np.zeros((len(rows), *made.today_CP.shape))
            spend_NCP[cell] = rows["spend"] / made.days_per_row
            expected += made.days_per_row * float(made.revenue_CP(spend_NCP)[cell].sum())
    assert earned == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].moves])
def test_what_moved_is_expected_as_it_is_at_the_end(kind: str) -> None:
    """The last fortnight's revenue is that of its own spend; the first one's is another account's."""
    last, first = [], []
    for made in (world(kind, seed) for seed in range(16)):
        days = sorted(made.frame["date"].unique())
        for found, some in ((last, days[-14:]), (first, days[:14])):
            rows = made.frame[made.frame["date"].isin(some)]
            spend = rows.pivot_table(index="date", columns="platform", values="spend")[list(made.platforms)]
            found.append(float(rows["revenue"].sum() / made.revenue_CP(spend.to_numpy()[:, None]).sum()))
    assert float(np.mean(last)) == pytest.approx(1, abs=0.06)
    assert float(np.mean(np.abs(np.log(first)))) > (0.1 if kind == "moved" else 0.4)


KEPT = {
    "plain": "0046810d1c19189c",
    "demand": "f446e6de085bd537",
    "late": "35a7850b406a97a5",
}


@pytest.mark.parametrize("kind", KEPT)
def test_a_world_is_the_one_that_it_always_was(kind: str) -> None:
    """What is drawn for one kind changes nothing of another: rows of the benchmark stay comparable."""
    made = world(kind, 40000)
    assert hashlib.sha256(made.frame.to_csv(index=False).encode()).hexdigest()[:16] == KEPT[kind]


@pytest.mark.parametrize("kind", PLAYED)
def test_no_split_earns_more_than_the_best(kind: str) -> None:
    made = world(kind, 0)
    split = made.best(probe=0.02)
    np.testing.assert_allclose(split.sum(1), made.today_CP.sum(1), rtol=1e-9)
    assert (split >= 0).all()
    most = np.where(made.known_CP(), 1.0, 0.02)
    assert (split <= most * made.today_CP.sum(1, keepdims=True) * (1 + 1e-9)).all()
    rng = np.random.default_rng(1)
    for near in (0.003, 0.03, 0.3):
        other = split * np.exp(near * rng.standard_normal((200, *split.shape)))
        other *= split.sum(1, keepdims=True) / other.sum(-1, keepdims=True)
        fits = (other <= most * split.sum(1, keepdims=True) * (1 + 1e-9)).all((1, 2))
        assert (made.revenue_CP(other[fits]).sum((1, 2)) <= made.revenue(split) * (1 + 1e-5)).all()


def test_the_lattice_agrees_with_a_smooth_solver() -> None:
    made = world("spread", 5)
    budget = float(made.today_CP.sum())
    found = made.best()
    answer = minimize(
        lambda part: -made.revenue(budget * (np.exp(part) / np.exp(part).sum())[None]) / 1e4,
        np.zeros(len(made.platforms)),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    assert made.revenue(found) == pytest.approx(-1e4 * answer.fun, rel=1e-7)
    slopes = made.marginal_CP(found)[0]
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=1e-3)


def test_the_lattice_finds_the_better_of_two_hills() -> None:
    def value(spend_GP: np.ndarray) -> np.ndarray:
        return np.asarray([3.0, 2.0] * spend_GP**3 / (spend_GP**3 + [80.0**3, 40.0**3]))

    # On either platform alone a budget of 100 earns 1.984 or 1.880; even halves earn less than 1.91.
    both = best(value, 100.0, np.full(2, 100.0))
    assert value(both[None]).sum() >= max(value(np.array([[x, 100 - x]])).sum() for x in np.linspace(0, 100, 4001))
    capped = best(value, 100.0, np.array([100.0, 20.0]))
    assert capped[1] <= 20
    assert capped.sum() == pytest.approx(100)


def test_marginal_roi_of_power_laws_is_elasticity_times_roas() -> None:
    made = world("plain", 2)
    law = made.response
    power_P = law.gamma * law.delta * law.eta  # type: ignore[attr-defined]
    roas_CP = made.revenue_CP(made.today_CP) / made.today_CP
    np.testing.assert_allclose(made.marginal_CP(made.today_CP), power_P * roas_CP, rtol=1e-5)


def test_half_of_the_worlds_are_of_families_that_no_fit_contains() -> None:
    usual = [kind for kind in INSIDE.values() if not kind.moves and not kind.lagged and not kind.together_of]
    assert len(usual) == len(OUTSIDE) == 12
    assert {kind.family for kind in INSIDE.values()} == {"power"}
    assert {kind.family for kind in OUTSIDE.values()} == {"hill", "logarithm", "auction", "carry-over"}


def test_kinds_are_what_their_names_say() -> None:
    steady, plain = world("steady", 1), world("plain", 1)
    deviation = [np.log(one.frame["spend"]).groupby(one.frame["platform"]).std().mean() for one in (steady, plain)]
    assert deviation[0] < 0.1 < 0.2 < deviation[1]
    few = [world("28-a-day", seed).frame["conversions"].sum() / 182 for seed in range(12)]
    assert np.mean(few) == pytest.approx(28, rel=0.15)
    late = world("late", 1).frame.groupby("platform")["date"].nunique()
    assert sorted(late)[0] == 36
    assert (sorted(late)[1:] == np.full(len(late) - 1, 120)).all()
    alone = [
        sum(
            ((one["conversions"] == 0) & (one["revenue"] > 0)).sum() for one in (world(kind, s).frame for s in range(6))
        )
        for kind in ("delayed", "plain")
    ]
    assert alone[0] > alone[1] == 0
    demand = world("demand", 1)
    assert demand.demand_T.mean() == pytest.approx(1)
    by_day = demand.frame.groupby("date")[["spend", "impressions"]].sum()
    assert np.corrcoef(np.log(by_day["spend"]), np.log(demand.demand_T))[0, 1] > 0.5


def test_a_hole_is_known_through_the_others_and_a_platform_of_its_own_is_not() -> None:
    holes, apart = world("holes", 0), world("apart", 0)
    assert holes.tried_CP.sum() == 3
    assert holes.known_CP().all()
    assert (apart.known_CP() == np.eye(4, dtype=bool)).all()
    # Nothing that the history can tell of lies beyond what was tried: only probes may differ from today.
    assert apart.regret(apart.today_CP, probe=1e-6) == pytest.approx(0, abs=1e-4)
    assert apart.regret(apart.today_CP, probe=0.02) > 0.01


def test_campaigns_read_together_are_the_same_world_whose_money_moves_between_them() -> None:
    apart, together = world("apart", 40003), world("apart-together", 40003)
    assert together.frame.equals(apart.frame)
    assert (apart.tried_CP == np.eye(4, dtype=bool)).all()
    assert together.settings == ("data.campaigns=together",)
    np.testing.assert_array_equal(together.today_CP[0], np.diag(apart.today_CP))
    money = np.array([3.0, 0.5, 1.0, 2.0])
    split = apart.today_CP * money
    assert together.revenue(together.today_CP * money) == pytest.approx(apart.revenue(split))
    np.testing.assert_allclose(
        together.marginal_CP(together.today_CP)[0], np.diag(apart.marginal_CP(np.maximum(apart.today_CP, 0.01)))
    )
    # Within its own campaign each budget is where it must be; between them it is not.
    assert apart.regret(apart.today_CP, probe=1e-6) == pytest.approx(0, abs=1e-4)
    assert together.regret(together.today_CP) > 0.005
    slopes = together.marginal_CP(together.best())[0]
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=1e-3)
    with pytest.raises(ValueError, match="holes: only power laws of a campaign on each platform"):
        world("holes", 3, replace(KINDS["holes"], together_of="holes"))
