"""Why an answer is as it is: its sentences, computed under the belief that decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from crossmix import state
from crossmix.clock import Clock, MemoryClock
from crossmix.exploration import Exploration
from crossmix.ledger import served
from crossmix.response import BELIEF
from serving.campaigns import service as campaigns
from serving.live.live import Live
from serving.live.states import State
from tests.support.asking import ask, shares
from tests.support.markets import make_market
from tests.support.planned_bundles import publish
from tests.support.serving_run import CAMPAIGNS, NAMES


@pytest.fixture
def clock() -> Clock:
    return MemoryClock(datetime(2026, 3, 2, 9, tzinfo=UTC))


def test_an_answer_says_whose_split_it_is_and_which_platforms_are_at_a_limit(live: Live) -> None:
    control = ask(live, "control")
    assert control["reasons"][0] == "Every platform has the plan's static split."
    limited = ask(live, limits={"platform3": {"min": 0.4}}, explore=False)
    assert any(
        line.startswith("At a limit: ") and "platform3: held at its min of 40.0%" in line for line in limited["reasons"]
    )
    campaigns.set_override(live.store, CAMPAIGNS[0], "static", None, live.platforms, "ann", "it burns money")
    live.reload()
    stopped = ask(live)
    assert stopped["reasons"][0] == "Every platform has kill switch: the static split, set by ann: it burns money."
    campaigns.set_override(live.store, CAMPAIGNS[0], "static", None, live.platforms, "ann", "")
    live.reload()
    assert ask(live)["reasons"][0] == "Every platform has kill switch: the static split, set by ann."


@pytest.mark.parametrize(
    ("pace", "budget", "reason"),
    [
        (0.0, 0.0, "The campaign's money is used up: nothing is left to spend."),
        (5.0, 3_500.0, "The pace is held at its highest, 5 times the plan's budget: more is left than it may spend."),
        (1.0, 700.0, None),
    ],
)
def test_an_answer_says_what_became_of_its_money(live: Live, pace: float, budget: float, reason: str | None) -> None:
    known = live.states.get(CAMPAIGNS[0], "policy")
    own = replace(known, statistics_S=state.ALLOCATION.write(known.statistics_S, campaign={"pace": pace}), source="own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(live.states), "get", lambda *_: own)
        answer = ask(live)
    assert answer["budget"] == pytest.approx(budget)
    assert [line for line in answer["reasons"] if "money" in line or "pace" in line] == ([reason] if reason else [])


@pytest.fixture
def believing(live: Live, tmp_path: Path) -> Live:
    """It serves a policy that starts from a plan and says what it believes."""
    market = replace(make_market(seed=3, campaigns=2), campaigns=CAMPAIGNS, platforms=NAMES)
    saved = publish(tmp_path / "believing", moved=0.05, market=market)
    live.champion.current = replace(live.champion.current, bundle=saved)
    live.reload()
    return live


def test_reasons_are_computed_under_the_belief_that_decided_at_the_arms_money(believing: Live) -> None:
    saved = believing.bundle
    for arm, weight in (("policy", 0.7), ("control", 0.3)):
        answer = ask(believing, arm, explore=False)
        state_S = np.concatenate([saved.contexts[CAMPAIGNS[0]], believing.states.get(CAMPAIGNS[0], arm).statistics_S])
        limits = believing.snapshot.planned[CAMPAIGNS[0]].limits
        given = {"min": limits.minimum_P, "max": limits.maximum_P}
        statistics = state.ALLOCATION.write(state.ALLOCATION.statistics(state_S), given, {"pace": 1.0})
        whole = np.concatenate([saved.contexts[CAMPAIGNS[0]], state.ALLOCATION.clamp(statistics, 10)])[None]
        beliefs = saved.decision(whole, np.zeros((1, 10)), np.ones((1, 10))).beliefs
        assert beliefs is not None
        want = beliefs[0].response(saved.responses[CAMPAIGNS[0]], shares(answer), answer["budget"] / weight)
        lines = answer["allocation"]
        assert [line["marginal_roi"] for line in lines] == pytest.approx(want.marginal_P, rel=1e-4)
        assert [line["expected_revenue"] for line in lines] == pytest.approx(weight * want.revenue_P, rel=1e-4)
        assert answer["belief"]["price"] == pytest.approx(beliefs[0].value_QP[BELIEF.index("price")], rel=1e-5)
        assert all(isinstance(line["differs"], str) for line in lines)
        assert (answer["moved"] is None) == (arm == "control")


def test_exploration_says_by_how_much_it_moved_the_split(believing: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its noise follows from a salt that each ledger draws; the least of it moves no point of the split.
    monkeypatch.setattr(Exploration, "keyed_noise", lambda law, _, count: law.sigma * np.linspace(-1, 1, count))
    plain, explored = ask(believing, explore=False), ask(believing)
    assert not np.any(plain["moved"]["exploration"])
    assert not any(line.startswith("Exploration") for line in plain["reasons"])
    assert any(line.startswith("Exploration moved ") for line in explored["reasons"])
    total = np.sum([explored["moved"][name] for name in ("exploration", "limits")], 0)
    before = np.array(plain["moved"]["limits"])
    assert total - before == pytest.approx(shares(explored) - shares(plain), abs=1e-5)


def own_statistics(live: Live, **campaign: float) -> State:
    """As if they were the campaign's own."""
    known = live.states.get(CAMPAIGNS[0], "policy")
    assert known is not None
    return replace(known, statistics_S=state.ALLOCATION.write(known.statistics_S, campaign=campaign), source="own")


def edit(live: Live, times: float) -> float:
    """The budget of a cycle becomes `times` the plan's, in the plan's currency; what it is now."""
    plan = live.bundle.plans[CAMPAIGNS[0]]
    one = live.snapshot.planned[CAMPAIGNS[0]]
    edited = replace(one.campaign, cycle_budget=times * plan.cycle_budget, currency=plan.currency)
    planned = {**live.snapshot.planned, CAMPAIGNS[0]: replace(one, campaign=edited)}
    live.snapshot = replace(live.snapshot, planned=planned)
    return edited.cycle_budget


@pytest.mark.parametrize("times", [0.5, 2.0])
def test_the_policy_solves_for_an_edited_budget(
    believing: Live, tmp_path: Path, times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As does one whose plan has that budget: shares within 1e-3; free platforms earn alike, and nothing is named."""
    own = own_statistics(believing, elapsed=0.5, consumed=0.5, pace=1.0)
    monkeypatch.setattr(type(believing.states), "get", lambda *_: own)
    market = replace(make_market(seed=3, campaigns=2), campaigns=CAMPAIGNS, platforms=NAMES)
    saved = publish(tmp_path / "plain", market=market)
    believing.champion.current = replace(believing.champion.current, bundle=saved)
    before = ask(believing, explore=False)
    budget = edit(believing, times)
    answer = ask(believing, explore=False)
    assert answer["budget"] == pytest.approx(0.7 * budget)
    assert not any("solved for" in line for line in answer["reasons"])
    free = [line for line in answer["allocation"] if line["binding"] is None]
    assert len(free) > 2
    assert not any("solved for" in line["reason"] for line in free)
    earn = [line["marginal_roi"] for line in free if "the base plan" not in line["reason"]]
    assert np.ptp(earn) < 0.1 * np.median(earn), free
    planned = publish(tmp_path / "other", market=replace(market, budget=times * market.budget))
    believing.champion.current = replace(believing.champion.current, bundle=planned)
    assert shares(answer) == pytest.approx(shares(ask(believing, explore=False)), abs=1e-3)
    assert np.abs(shares(answer) - shares(before)).max() > 0.02


def test_an_edited_budget_beyond_what_the_state_tells_is_named(
    believing: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_statistics(believing, elapsed=0.5, consumed=0.5, pace=1.0)
    monkeypatch.setattr(type(believing.states), "get", lambda *_: own)
    budget = edit(believing, 6.0)
    assert (
        f"The policy solved for {budget * 5 / 6:,.2f} a cycle where {budget:,.2f} are to be spent: its state tells no "
        "more than 5 times the plan that it was trained on."
    ) in ask(believing, explore=False)["reasons"]


def test_an_answer_says_since_when_once_that_is_known(believing: Live) -> None:
    """The states of four cycles before are the present one; that of the fifth says that nothing is known."""
    first = ask(believing)
    assert {line["since"] for line in first["allocation"]} == {None}
    assert any("usual" in line["differs"].replace("as usual", "") for line in first["allocation"])
    assert ask(believing)["allocation"] == first["allocation"]
    campaign = believing.campaigns[CAMPAIGNS[0]]
    believing.clock.set(campaign.begins(5) + 0.5 * campaign.calendar.nominal)  # type: ignore[attr-defined]
    known = believing.states.get(CAMPAIGNS[0], "policy")
    assert known is not None
    for cycle in range(5):
        statistics = np.zeros_like(known.statistics_S) if cycle == 0 else known.statistics_S
        state_S = np.concatenate([np.zeros(512), statistics]).astype("<f4")
        row = {
            "allocation_id": f"{cycle}", "at": campaign.begins(cycle) + 0.9 * campaign.calendar.nominal,
            "campaign_id": CAMPAIGNS[0], "arm": "policy", "cycle": cycle, "bundle": "b", "budget": 1.0,
            "share": dict.fromkeys(NAMES, 0.1),
            "state": state_S.tobytes(), "logits": None, "log_density": None, "override": None,
        }  # fmt: skip
        served.record(believing.store, [], [row])
    waiting = ask(believing)
    assert {line["since"] for line in waiting["allocation"]} == {None}
    believing.read_earlier()
    answer = ask(believing)
    assert answer["allocation_id"] == waiting["allocation_id"]
    lasting = [one for line in answer["allocation"] for one in line["since"]]
    assert lasting
    for one in lasting:
        assert one == {"quantity": one["quantity"], "cycles": 5, "at_least": False}
    for line in answer["allocation"]:
        assert line["differs"].count(" usual since 5 cycles") == len(line["since"])
    assert {line["since"] for line in ask(believing, state={"campaign_pace": 1.0})["allocation"]} == {None}
    # A new champion sees them anew.
    market = replace(make_market(seed=3, campaigns=2), campaigns=CAMPAIGNS, platforms=NAMES)
    saved = publish(believing.folder / "another", moved=0.06, market=market)
    believing.champion.current = replace(believing.champion.current, bundle=saved)
    assert {line["since"] for line in ask(believing)["allocation"]} == {None}
    believing.read_earlier()
    assert ask(believing)["allocation"][0]["since"] is not None


def test_a_budget_in_money_that_the_policy_does_not_know_is_named(believing: Live) -> None:
    assert believing.bundle.plans[CAMPAIGNS[0]].currency != believing.campaigns[CAMPAIGNS[0]].currency
    plan = believing.bundle.plans[CAMPAIGNS[0]].cycle_budget
    asked = ask(believing, explore=False, budget=0.7 * believing.campaigns[CAMPAIGNS[0]].cycle_budget)
    spent = believing.campaigns[CAMPAIGNS[0]].cycle_budget
    assert plan != pytest.approx(spent)
    assert f"The policy solved for {plan:,.2f} a cycle where {spent:,.2f} are to be spent." in asked["reasons"]


def test_a_campaign_that_the_policy_never_saw_says_which_platforms_are_at_a_limit(live: Live) -> None:
    plan = {"campaign_id": "new", "currency": "EUR", "cycle_budget": 500, "share": {"platform0": 1.0}}
    flight = {"starts": "2026-01-01T00:00:00Z", "cycles": 3_650, "cycle_hours": 24}
    limits = {"platform0": {"max": 0.02}, "platform1": {"min": 0.3}}
    campaigns.create(live.store, plan | flight | {"limits": limits}, live.platforms, "ann")
    live.reload()
    first, last = ask(live, campaign="new", explore=False)["reasons"]
    assert first.startswith("At a limit: platform0: held at its max of 2.0%; platform1: held at its min of 30.0%")
    assert last == "The bundle knows no response of this campaign: what it earns is not known."
