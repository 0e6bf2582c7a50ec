"""Reasons: free platforms earn alike under what the policy believes, or the answer names what makes them differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from crossmix import allocate, reasons, unusual
from crossmix.bundle import Bundle
from crossmix.constraints import Limits
from crossmix.market import pacing
from crossmix.reasons import Z95, interval_of, intervals_of
from crossmix.response import BELIEF, FACTORS, Belief, Response
from crossmix.state import ALLOCATION
from tests.support.alike import LITTLE, answers, free, random_statistics, spread
from tests.support.bundles import CAMPAIGNS, make
from tests.support.markets import make_market
from tests.support.planned_bundles import publish, states

MARKET = make_market(seed=3, campaigns=2, platforms=6)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Its network adds nothing to the plan."""
    return publish(tmp_path_factory.mktemp("plain") / "bundle", market=MARKET)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Its network moves the split."""
    return publish(tmp_path_factory.mktemp("trained") / "bundle", moved=0.3, market=MARKET)


def test_free_platforms_earn_alike_as_the_policy_believes(plain: Bundle) -> None:
    """Where nothing moved the base plan, the closed form under its belief agrees with it that they do."""
    statistics = np.concatenate([ALLOCATION.statistics(states(MARKET, 16, 9).numpy()), random_statistics(MARKET, 100)])
    given = answers(plain, statistics)
    assert max(map(spread, given)) < 0.1
    unlike = [reason for reason in free(given) if "against" in reason]
    assert len(free(given)) > 2 * len(given)
    assert len(unlike) < 0.1 * len(free(given))
    # On an average day without drift the same splits look wrong.
    blind = []
    for answer in given:
        slots = [slot for slot, one in enumerate(answer.platforms) if one.binding is None]
        share = np.array([one.share for one in answer.platforms])
        marginal = plain.responses[answer.campaign](share, answer.budget).marginal_P[slots]
        blind.append(np.ptp(marginal) / np.median(marginal) if len(slots) > 1 else 0.0)
    assert np.median(blind) > 0.3


def test_what_the_base_plan_leaves_out_is_what_is_left(
    plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten thousand times the auctions, paced to the cent, and a grid four times as fine next to nothing is."""
    value = {name: torch.zeros_like(one) if name == "pacing" else one for name, one in MARKET.value.items()}
    value["requests"] = 1e4 * value["requests"]
    large = replace(MARKET, value=value, budget=1e4 * MARKET.budget)
    monkeypatch.setattr(pacing, "KNOTS", 4 * (pacing.KNOTS - 1) + 1)
    exact = publish(tmp_path / "exact", market=large)
    left = []
    for bundle, market in ((plain, MARKET), (exact, large)):
        reasons_ = free(answers(bundle, random_statistics(market, 100)))
        left.append(sum(reasons.LEFT_OUT in one for one in reasons_) / len(reasons_))
    assert left[0] > 0.03
    assert left[1] < 0.01


def test_what_the_base_plan_leaves_out_is_no_cause_of_whatever_is_left(plain: Bundle) -> None:
    """Where a platform sells a good part of what it has, what is far off has a cause that must be told."""
    answer = answers(plain, random_statistics(MARKET, 1))[0]
    slots = [slot for slot, one in enumerate(answer.platforms) if one.binding is None]
    slot = max(slots, key=lambda slot: answer.platforms[slot].amount)
    one, belief = answer.platforms[slot], dict(answer.belief or {})
    assert len(slots) > 1
    assert spread(answer) < 0.1
    text = f"free; the next unit earns x against {one.marginal_roi:.3g} on free platforms: {{}}"
    left_out = reasons.LEFT_OUT
    for part, said, hidden in ((0.5, left_out, False), (0.5 * LITTLE, left_out, True), (0.5, "moved by x", True)):
        off = one._replace(marginal_roi=1.3 * one.marginal_roi, reason=text.format(said))
        rows = tuple(off if number == slot else row for number, row in enumerate(answer.platforms))
        supply = [one.amount / part] * len(rows)
        assert (spread(replace(answer, platforms=rows, belief=belief | {"supply": supply})) < 0.1) is hidden


def test_what_moved_the_split_from_the_base_plan_is_named_with_its_points(trained: Bundle) -> None:
    for answer in answers(trained, random_statistics(MARKET, 40)):
        assert spread(answer) < 0.1
        assert answer.moved is not None
        network = np.array(answer.moved["network"])
        assert any(
            line.startswith("Away from its base plan the trained network moved") for line in answer.reasons
        ) == bool(np.abs(network).max() >= reasons.POINT)
        for slot, one in enumerate(answer.platforms):
            if one.binding is None and abs(network[slot]) >= reasons.CLEAR:
                assert f"the trained network {100 * network[slot]:+.1f} points" in one.reason
        assert json.loads(json.dumps(answer.as_dict(), allow_nan=False))["moved"]["network"] == answer.moved["network"]


def test_moves_add_up_to_the_way_from_the_base_plan(trained: Bundle) -> None:
    state_BS = states(MARKET, 4).numpy()
    free = np.zeros((1, 6)), np.full((1, 6), 0.3)
    noise = 0.2 * np.random.default_rng(3).standard_normal((4, 6)).astype(np.float32)
    decision = trained.decision(state_BS, *free, noise)
    assert decision.beliefs is not None
    for row, belief in enumerate(decision.beliefs):
        share = decision.share_BM[row].astype(float)
        how = reasons.Decided.of(belief, share, decision.logits_BM[row], noise[row])
        assert how.moved is not None
        assert np.sum(how.moved, 0) == pytest.approx(share - belief.base_P, abs=1e-9)
        logits = decision.logits_BM[row].astype(float)
        raw, explored = (np.exp(x) / np.exp(x).sum() for x in (logits, logits + noise[row]))
        assert how.moved[0] == pytest.approx(raw - belief.base_P, abs=1e-6)
        assert how.moved[1] == pytest.approx(explored - raw, abs=1e-6)
        assert how.as_dict()["belief"]["supply"] == pytest.approx(belief.supply_P)


def made(
    share: list[float],
    marginal: list[float],
    *,
    belief: dict[str, list[float]] | None = None,
    moved: tuple[list[float], ...] = ([0.0] * 3,) * 3,
    money: float = 100.0,
    part: float = 1.0,
    elsewhere: str | None = None,
    base: list[float] | None = None,
    minimum: float = 0.0,
    maximum: float = 1.0,
    before: np.ndarray | None = None,
    low: Sequence[float] = (0, 0, 0),
    high: Sequence[float] = (1, 1, 1),
    supply_known: bool = True,
    proved: reasons.Proved | None = None,
) -> tuple[list[reasons.PlatformShare], tuple[str, ...]]:
    """Reasons of three platforms a, b, c that nothing holds."""
    value = np.ones((len(BELIEF), 3))
    value[-1] = 1e9
    for name, numbers in (belief or {}).items():
        value[BELIEF.index(name)] = numbers
    how = reasons.Decided(Belief(value, np.array(base or share), "x"), moved, part, elsewhere, before)
    zero = np.zeros(3)
    response = Response(zero, zero, np.array(marginal), zero)
    edges = np.array(low, float), np.array(high, float)
    limits = Limits.arrays({"min": [0, 0, minimum], "max": [1, 1, maximum], "freeze": [False] * 3, "step": [1] * 3})
    lines = reasons.reasoned(
        ("a", "b", "c"), limits, None, np.array(share), edges, response, money, how,
        supply_known=supply_known, proved=proved,
    )  # fmt: skip
    return list(lines), reasons.overall(lines, how, "x")


def test_a_platform_with_nothing_more_to_sell_is_at_its_limit() -> None:
    lines, whole = made([0.5, 0.3, 0.2], [1.0, 1.0, 4.0], belief={"supply": [1e9, 1e9, 10.0]}, part=0.5, money=40)
    assert [line.binding for line in lines] == [None, None, "supply"]
    assert lines[2].reason == (
        "all its requests are bought for 5.00, 3.00 find nothing to buy; "
        "the next unit earns 4 against 1 on free platforms"
    )
    assert whole == ("At a limit: c: all its requests are bought for 5.00, 3.00 find nothing to buy.",)


def test_the_end_of_a_historys_curve_is_no_supply() -> None:
    asked: dict[str, object] = {"belief": {"supply": [1e9, 1e9, 10.0]}, "part": 0.5, "money": 40}
    lines, whole = made([0.5, 0.3, 0.2], [1.0, 1.0, 1.0], supply_known=False, **asked)  # type: ignore[arg-type]
    assert [line.binding for line in lines] == [None] * 3
    assert lines[2].reason == "free; the next unit earns 1, as on the other free platforms"
    assert whole == ()


def test_a_limit_that_nobody_set_is_as_far_as_was_proved() -> None:
    asked: dict[str, object] = {"maximum": 0.2, "high": (1, 1, 0.2), "base": [0.5, 0.3, 0.2]}
    yes, no = np.array([False, False, True]), np.zeros(3, bool)
    for proved, held in (
        (reasons.Proved(no, yes), "held at 20.0%, beyond which nothing was proved"),
        (None, "held at its max of 20.0%"),
        (reasons.Proved(yes, no), "held at its max of 20.0%"),
    ):
        lines, whole = made([0.5, 0.3, 0.2], [1.0, 1.0, 1.3], proved=proved, **asked)  # type: ignore[arg-type]
        assert lines[2].reason == f"{held}; the next unit earns 1.3 against 1 on free platforms"
        assert whole == (f"At a limit: c: {held}.",)


def test_the_only_free_platform_is_not_compared_with_others() -> None:
    lines, _ = made([0.5, 0.3, 0.2], [0.8, 1.0, 1.3], low=(0.5, 0, 0), high=(1, 1, 0.2), maximum=0.2)
    assert lines[1].reason == "free; the next unit earns 1; no other platform is free"


def test_what_differs_from_usual_is_in_words() -> None:
    believed = {"click_rate": [0.62, 1.04, 1.0], "price": [1.12, 1.0, 1.0], "weekday_volume": [1.0, 0.86, 1.0]}
    lines, _ = made([0.5, 0.3, 0.2], [1.0, 1.0, 1.0], belief=believed)
    assert [line.differs for line in lines] == [
        "click rate 38 % below, price 12 % above usual",
        "as usual; by weekday volume 14 % below average",
        "as usual",
    ]


def test_since_when_it_differs_counts_back_to_the_first_cycle_that_did_not() -> None:
    """Of one policy's beliefs: of eight cycles the last differ, with a break or the other way before."""
    cycles = np.ones((8, len(BELIEF), 3))
    cycles[4:, BELIEF.index("click_rate"), 0] = 0.62
    cycles[3:, BELIEF.index("click_rate"), 1] = 0.7
    cycles[6, BELIEF.index("click_rate"), 1] = 0.96  # less than is told: a break
    cycles[:, BELIEF.index("value"), 1] = 1.2
    cycles[:7, BELIEF.index("price"), 2] = 0.8
    cycles[7, BELIEF.index("price"), 2] = 1.12
    now = {name: cycles[7, BELIEF.index(name)].tolist() for name in FACTORS} | {"weekday_volume": [0.86, 1.0, 1.0]}
    lines, _ = made([0.5, 0.3, 0.2], [1.0] * 3, belief=now, before=unusual.told(cycles[6::-1]))
    assert [line.differs for line in lines] == [
        "click rate 38 % below usual since 4 cycles; by weekday volume 14 % below average",
        "click rate 30 % below usual since this cycle, value 20 % above usual for at least 8 cycles",
        "price 12 % above usual since this cycle",
    ]
    assert [line.since for line in lines] == [
        (("click_rate", 4, False),),
        (("click_rate", 1, False), ("value", 8, True)),
        (("price", 1, False),),
    ]
    # Nothing is said where no cycle before is known, and of three that are all.
    unknown, _ = made([0.5, 0.3, 0.2], [1.0] * 3, belief=now, before=unusual.told(cycles[:0]))
    assert unknown[0].differs == "click rate 38 % below usual; by weekday volume 14 % below average"
    assert unknown[0].since is None
    three, _ = made([0.5, 0.3, 0.2], [1.0] * 3, belief=now, before=unusual.told(cycles[6:3:-1]))
    assert three[0].differs == (
        "click rate 38 % below usual for at least 4 cycles; by weekday volume 14 % below average"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"moved": ([0.0, 0.0, 0.021], [0.0] * 3, [0.0] * 3)}, "moved by the trained network +2.1 points"),
        ({"moved": ([0.0] * 3, [0.0, 0.0, -0.013], [0.0] * 3)}, "moved by exploration -1.3 points"),
        ({"moved": ([0.0] * 3, [0.0] * 3, [0.0, 0.0, 0.05])}, "moved by the limits +5.0 points"),
        ({"elsewhere": "the policy solved for less"}, "the policy solved for less"),
        ({}, "the base plan leaves out pacing and the last win that does not fit, and solves on a grid of win rates"),
        ({"base": [0.5, 0.5, 0.0]}, "the base plan gives it nothing"),
        ({"base": [0.5, 0.5, 9e-5], "money": 1_000.0}, "the base plan gives it next to nothing (0.09)"),
        ({"base": [0.5, 0.3, 0.2], "maximum": 0.2}, "the base plan holds it at its max of 20.0%"),
        ({"base": [0.5, 0.4, 0.1], "minimum": 0.1}, "the base plan holds it at its min of 10.0%"),
        ({"belief": {"supply": [1e9, 1e9, 25.0]}, "base": [0.4, 0.35, 0.25]}, "the base plan buys all its requests"),
        (
            {"base": [0.5, 0.3, 0.2], "maximum": 0.2, "moved": ([0.0] * 3, [0.0, 0.0, -0.001], [0.0] * 3)},
            "the base plan holds it at its max of 20.0%, moved by exploration -0.1 points",
        ),
    ],
)
def test_a_free_platform_that_earns_unlike_the_others_says_why(arguments: dict[str, object], reason: str) -> None:
    given: dict[str, object] = {"share": [0.5, 0.3, 0.2], **arguments}
    lines, _ = made(marginal=[1.0, 1.0, 0.7], **given)  # type: ignore[arg-type]
    assert lines[2].reason == f"free; the next unit earns 0.7 against 1 on free platforms: {reason}"
    assert lines[0].reason == "free; the next unit earns 1, as on the other free platforms"


def test_what_free_platforms_earn_is_of_those_that_nothing_held() -> None:
    """Two that exploration took off their bounds do not make the rule."""
    lines, _ = made([0.6, 0.2, 0.2], [1.0, 0.4, 0.5], base=[0.9999 - 2e-4, 0.0, 3e-5])
    assert lines[0].reason == "free; the next unit earns 1, as on the other free platforms"
    assert (
        lines[1].reason == "free; the next unit earns 0.4 against 1 on free platforms: the base plan gives it nothing"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            {"share": [0.7, 0.3, 0.00002], "marginal": [1.0, 1.0, 0.4]},
            "gets nothing; the next unit earns 0.4 against 1 on free platforms",
        ),
        (
            {"share": [0.7, 0.3, 0.00009], "marginal": [1.0, 1.0, 0.4], "money": 10_000.0},
            "gets next to nothing (0.90); the next unit earns 0.4 against 1 on free platforms",
        ),
        (
            {"share": [0.7, 0.3, 0.00002], "marginal": [1.0, 1.0, 1.3], "base": [0.6, 0.3, 0.1],
             "moved": ([0.0, 0.0, -0.02], [0.0] * 3, [0.0] * 3)},
            "gets nothing; the next unit earns 1.3 against 1 on free platforms: moved by the trained network -2.0 "
            "points",
        ),
        (
            {"share": [0.6, 0.3, 0.1], "marginal": [1.0, 1.0, 1.3], "minimum": 0.1, "low": [0, 0, 0.1]},
            "at its min of 10.0%; the next unit earns 1.3 against 1 on free platforms: the base plan holds it at its "
            "min of 10.0%",
        ),
        (
            {"share": [0.6, 0.3, 0.1], "marginal": [1.0, 1.0, 0.7], "minimum": 0.1, "low": [0, 0, 0.1]},
            "held at its min of 10.0%; the next unit earns 0.7 against 1 on free platforms",
        ),
        (
            {"share": [0.5, 0.2, 0.3], "marginal": [1.0, 1.0, 1.3], "maximum": 0.3, "high": [1, 1, 0.3]},
            "held at its max of 30.0%; the next unit earns 1.3 against 1 on free platforms",
        ),
        (
            {"share": [0.5, 0.2, 0.3], "marginal": [1.0, 1.0, 0.6], "maximum": 0.3, "high": [1, 1, 0.3],
             "base": [0.6, 0.2, 0.2]},
            f"at its max of 30.0%; the next unit earns 0.6 against 1 on free platforms: {reasons.LEFT_OUT}",
        ),
    ],
)  # fmt: skip
def test_a_limit_holds_a_share_only_where_money_says_so(arguments: dict[str, object], reason: str) -> None:
    """A floor where more would earn more than elsewhere is not what holds a share there; what moved it is named."""
    lines, _ = made(**arguments)  # type: ignore[arg-type]
    assert lines[2].reason == reason


def test_a_bundle_that_tells_no_belief_says_that_its_figures_are_of_an_average_day(tmp_path: Path) -> None:
    def market(share_P: np.ndarray, budget: float) -> Response:
        money = np.maximum(share_P * budget, 1e-9)
        return Response(np.sqrt(money), 0 * money, 0.5 / np.sqrt(money), 0 * money)

    answer = allocate.explain(make(tmp_path / "bundle"), np.zeros(128), CAMPAIGNS[0], market)
    assert answer.belief is answer.moved is None
    assert {one.differs for one in answer.platforms} == {None}
    assert any("those of an average day without drift" in line for line in answer.reasons)


def test_a_context_of_another_campaign_is_answered_from_that_ones_market(plain: Bundle) -> None:
    """As the policy decides: it knows a campaign by its context alone."""
    other = plain.contexts["c1"]
    statistics = ALLOCATION.statistics(states(MARKET, 2).numpy())[0]
    table = plain.responses["c0"]
    answer = allocate.explain(plain, statistics, "c0", table, context_D=other)
    assert any("nearest to that of c1" in line for line in answer.reasons)
    assert spread(answer) < 0.1
    own = allocate.explain(plain, statistics, "c0", table)
    assert not any("nearest to" in line for line in own.reasons)


def test_every_factor_has_a_word() -> None:
    lines, _ = made([0.5, 0.3, 0.2], [1.0] * 3, belief={name: [1.2, 1.0, 1.0] for name in FACTORS})
    assert lines[0].differs == (
        "click rate 20 % above, conversion rate 20 % above, value 20 % above, price 20 % above, volume 20 % above usual"
        "; by weekday click rate 20 % above, volume 20 % above average"
    )


def test_what_earns_next_to_nothing_has_no_digits() -> None:
    assert reasons._earned(7e-31) == reasons._earned(0.0) == "next to nothing"
    assert (reasons._earned(0.001), reasons._earned(1.2345)) == ("0.001", "1.23")


def test_an_interval_is_that_of_a_figure_that_cannot_be_negative() -> None:
    law = stats.lognorm(s=np.sqrt(np.log(1.04)), scale=50 / np.sqrt(1.04))
    assert (law.mean(), law.std()) == pytest.approx((50.0, 10.0))
    assert interval_of(50.0, 10.0) == pytest.approx((law.ppf(0.025), law.ppf(0.975)))
    assert interval_of(50.0, 0.0) == (50.0, 50.0)
    low, high = interval_of(1.0, 5.0)
    assert 0 < low < 0.05 < 1 < high
    assert interval_of(0.0, 2.0) == pytest.approx((0.0, 2.0 * Z95))


def test_an_interval_widens_as_less_is_known() -> None:
    """At any value, nothing and nearly nothing too, up to errors without end."""
    se = np.concatenate([[0.0], np.geomspace(1e-6, 1e9, 400), [np.inf]])
    for value in (0.0, 1e-200, 1e-12, 0.3, 1.0, 50.0):
        low, high = intervals_of(np.full(len(se), value), se)
        assert np.isfinite(low).all()
        assert not np.isnan(high).any()
        assert (low >= 0).all()
        assert (low <= value).all()
        assert (high >= value).all()
        assert (np.diff(high[:-1]) >= 0).all()
        assert (np.diff(low) <= 0).all()
        assert (high >= Z95 * se).all()
        assert high[-1] == np.inf
    # What is known to three times its size or better has the lognormal law's own ends.
    law = stats.lognorm(np.sqrt(np.log1p(9.0)), scale=np.exp(-0.5 * np.log1p(9.0)))
    assert interval_of(1.0, 3.0) == pytest.approx((law.ppf(0.025), law.ppf(0.975)))
    # Nearly nothing is told as nothing is.
    assert interval_of(1e-12, 2.0)[1] == pytest.approx(2.0 * Z95)
