"""What a predictor answers: limits, arms, amounts, overrides, exploration, what it falls back to."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from scipy import stats

from crossmix import bundle, state
from crossmix.exploration import Exploration
from crossmix.ledger.store import StoreAwayError
from crossmix.ledger.tables import served
from serving.allocation import question
from serving.allocation.answer import Answerer
from serving.allocation.question import QuestionError
from serving.campaigns import service as campaigns
from serving.live.live import Live
from tests.support.asking import ask, shares
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES, Run, instance


def test_the_policy_is_the_bundles_answer_within_the_limits(live: Live) -> None:
    answer = ask(live, explore=False)
    state_S = np.concatenate([live.bundle.contexts[CAMPAIGNS[0]], live.states.get(CAMPAIGNS[0], "policy").statistics_S])
    limits = live.bundle.limits[CAMPAIGNS[0]]
    state_S = state_S.copy()
    for name, column in (("min", limits.minimum_P), ("max", limits.maximum_P)):
        state.ALLOCATION.of_platforms(state.ALLOCATION.statistics(state_S), name)[:] = column
    # What the log's flight left over is not this campaign's budget; one that is asked for is.
    for pace in (3.0, 1.0):
        state_S[state.ALLOCATION.context_size + state.ALLOCATION.index("campaign_pace")] = pace
        want = live.bundle.allocate(state_S[None], limits.minimum_P[None], limits.maximum_P[None])[0]
        given = answer if pace == 1 else ask(live, explore=False, budget=pace * 0.7 * BUDGET)
        assert shares(given) == pytest.approx(want, abs=1e-6)
    assert answer["state_source"] == "log"
    assert not answer["explored"]
    assert answer["log_density"] is None
    for share in (shares(answer), shares(ask(live))):
        assert share.sum() == pytest.approx(1, abs=1e-5)
        assert ((share >= 0.02 - 1e-6) & (share <= 0.5 + 1e-6)).all()


def test_each_arm_has_its_part_of_the_budget(live: Live) -> None:
    policy, control = ask(live, "policy"), ask(live, "control")
    assert policy["budget"] == pytest.approx(0.7 * BUDGET)
    assert control["budget"] == pytest.approx(0.3 * BUDGET)
    for answer in (policy, control):
        assert sum(line["amount"] for line in answer["allocation"]) == pytest.approx(answer["budget"], rel=1e-5)
    assert shares(control) == pytest.approx(np.array(live.bundle.plans[CAMPAIGNS[0]].share), abs=1e-6)


def test_an_arm_earns_what_its_part_of_the_supply_does(live: Live) -> None:
    """Revenue a sqrt(m) of the whole campaign: an arm of 70 % earns 0.7 a sqrt(m / 0.7)."""
    answer = ask(live, explore=False)
    scale = np.linspace(10, 40, len(NAMES))
    amount = np.array([line["amount"] for line in answer["allocation"]])
    want = 0.7 * scale * np.sqrt(amount / 0.7)
    assert [line["expected_revenue"] for line in answer["allocation"]] == pytest.approx(want, rel=0.01)
    slopes = [line["marginal_roi"] for line in answer["allocation"]]
    assert slopes == pytest.approx(0.5 * scale / np.sqrt(amount / 0.7), rel=0.01)
    low, high = answer["expected_revenue_interval"]
    assert low < answer["expected_revenue"] < high


def test_a_cycles_exploration_is_one_for_all_and_has_its_density(live: Live) -> None:
    first = ask(live)
    again = ask(live)
    assert first["explored"]
    assert shares(first) == pytest.approx(shares(again), abs=0)
    later = ask(live, cycle=first["cycle"] + 1)
    assert np.abs(shares(later) - shares(first)).max() > 1e-4
    plain = ask(live, explore=False)
    assert 1e-4 < np.abs(shares(first) - shares(plain)).max() < 0.2
    sigma, bound = live.config.online.sigma, live.config.serving.explore_bound
    key = (live.config.serving.salt, CAMPAIGNS[0], "policy", first["cycle"], live.bundle.digest)
    noise = Exploration(sigma, bound).keyed_noise(key, len(NAMES))
    cut = stats.truncnorm(-bound, bound, scale=sigma)
    assert first["log_density"] == pytest.approx(cut.logpdf(noise).sum(), rel=1e-9)


def test_what_was_served_is_written_once_with_what_learning_needs(live: Live) -> None:
    answer = ask(live)
    ask(live)
    ask(live, "control")
    ask(live, state=[0.0] * state.ALLOCATION.size)
    live.recorder.flush()
    with live.store.read() as connection:
        rows = connection.execute(sa.select(served).order_by(served.c.arm)).mappings().all()
    assert [row["arm"] for row in rows] == ["control", "policy"]
    row = rows[1]
    assert row["allocation_id"] == answer["allocation_id"]
    assert row["log_density"] == pytest.approx(answer["log_density"])
    state_S = np.frombuffer(row["state"], "<f4")
    assert state_S.shape == (state.ALLOCATION.size,)
    _, mean = live.bundle.decide(state_S[None], np.zeros((1, 10)), np.ones((1, 10)))
    noise = np.array(row["logits"]) - mean[0]
    assert Exploration(live.config.online.sigma, 2.0).log_density_of_noise(noise) == pytest.approx(
        row["log_density"], abs=1e-3
    )
    assert rows[0]["state"] is None


def test_limits_of_a_call_hold_and_bind_with_a_reason(live: Live) -> None:
    answer = ask(live, limits={"platform3": {"min": 0.4}, "platform0": {"max": 0.03}}, explore=False)
    by = {line["platform"]: line for line in answer["allocation"]}
    assert by["platform3"]["share"] >= 0.4 - 1e-6
    assert by["platform0"]["share"] <= 0.03 + 1e-6
    assert by["platform3"]["binding"] == "min"
    assert "held at its min of 40.0%" in by["platform3"]["reason"]


def test_a_full_state_and_single_statistics_of_the_caller_count(live: Live) -> None:
    rng = np.random.default_rng(4)
    given = rng.normal(size=state.ALLOCATION.size).astype(np.float32)
    answer = ask(live, state=given.astype(float).tolist())
    limits = live.bundle.limits[CAMPAIGNS[0]]
    want = live.bundle.allocate(given[None], limits.minimum_P[None], limits.maximum_P[None])[0]
    assert shares(answer) == pytest.approx(want, abs=1e-6)
    assert answer["state_source"] == "request"
    moved = ask(live, state={"p0_windowed_roi": 40.0}, explore=False)
    assert np.abs(shares(moved) - shares(ask(live, explore=False))).max() > 1e-3


def test_the_kill_switch_serves_the_static_split_at_once_in_both_arms_until_lifted(live: Live) -> None:
    before = ask(live)
    campaigns.set_override(live.store, CAMPAIGNS[0], "static", None, live.platforms, "ann", "it burns money")
    live.reload()
    for arm in ("policy", "control"):
        answer = ask(live, arm)
        assert shares(answer) == pytest.approx(np.array(live.bundle.plans[CAMPAIGNS[0]].share), abs=1e-6)
        assert answer["override"]["actor"] == "ann"
        assert "kill switch" in answer["allocation"][0]["reason"]
        assert not answer["explored"]
    assert ask(live, campaign=CAMPAIGNS[1])["override"] is None
    campaigns.lift(live.store, CAMPAIGNS[0], "ann", "mended")
    live.reload()
    assert shares(ask(live)) == pytest.approx(shares(before), abs=0)


def test_an_override_set_while_an_answer_is_made_holds_from_the_next_on(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer under way may still be the policy's; it must not be kept."""
    real = bundle.Bundle.decision

    def meanwhile(self: bundle.Bundle, *inputs: Any) -> Any:
        monkeypatch.setattr(bundle.Bundle, "decision", real)
        campaigns.set_override(live.store, CAMPAIGNS[0], "static", None, live.platforms, "ann", "stop")
        live.reload()
        return self.decision(*inputs)

    monkeypatch.setattr(bundle.Bundle, "decision", meanwhile)
    ask(live)
    assert ask(live)["override"]["actor"] == "ann"


def test_the_split_in_force_is_the_last_one_served_not_the_last_new_one(live: Live) -> None:
    """Policy, override, lifted: the policy's split is in force again, and what-ifs never were."""
    first = ask(live)
    campaigns.set_override(live.store, CAMPAIGNS[0], "static", None, live.platforms, "ann", "stop")
    live.reload()
    ask(live)
    campaigns.lift(live.store, CAMPAIGNS[0], "ann", "go on")
    live.reload()
    ask(live)
    ask(live, budget=1.0, limits={"platform0": {"max": 0.03}})
    live.recorder.flush()
    with live.store.read() as connection:
        rows = connection.execute(sa.select(served.c.allocation_id).order_by(served.c.at.desc())).scalars().all()
    assert len(rows) == 2
    assert rows[0] == first["allocation_id"]


def test_a_given_split_is_served_as_it_is(live: Live) -> None:
    share = dict.fromkeys(NAMES, 0.05) | {"platform0": 0.3, "platform9": 0.3}
    campaigns.set_override(live.store, CAMPAIGNS[0], "given", share, live.platforms, "ann", "launch")
    live.reload()
    assert shares(ask(live)) == pytest.approx(list(share.values()), abs=1e-6)


def test_a_paused_campaign_and_one_out_of_its_window_spend_nothing(live: Live) -> None:
    campaigns.pause(live.store, CAMPAIGNS[0], "ann")
    live.reload()
    paused = ask(live)
    assert paused["budget"] == 0
    assert ask(live, budget=500.0)["budget"] == 0
    assert "paused" in paused["notes"][0]
    assert paused["reasons"][0] == "The campaign is paused: it spends nothing until it is resumed."
    over = ask(live, campaign=CAMPAIGNS[1], cycle=10_000)
    assert over["budget"] == 0
    assert "over" in over["notes"][0]
    assert over["reasons"][0].endswith("cycles are over: it spends nothing more.")


def test_a_campaign_that_the_policy_never_saw_starts_cold(live: Live) -> None:
    known = live.campaigns[CAMPAIGNS[0]]
    raw = known.as_dict() | {"campaign_id": "new"}
    del raw["override"], raw["paused"]
    campaigns.create(live.store, raw, live.platforms, "ann")
    live.reload()
    live.refresh_states()
    answer = ask(live, campaign="new")
    assert answer["state_source"] == "cold"
    assert any("trained without this campaign" in note for note in answer["notes"])
    assert answer["expected_revenue"] is None
    share = shares(answer)
    assert share.sum() == pytest.approx(1, abs=1e-5)
    assert ((share >= 0.02 - 1e-6) & (share <= 0.5 + 1e-6)).all()


def test_without_the_feature_store_the_last_good_state_serves_and_says_so(live: Live, tmp_path: Any) -> None:
    before = ask(live, explore=False)
    away = tmp_path / "away"
    shutil.move(live.states.features, away)
    live.refresh_states()
    answer = ask(live, explore=False)
    assert shares(answer) == pytest.approx(shares(before), abs=0)
    assert [trouble["what"] for trouble in answer["degraded"]] == ["feature store"]
    restarted = Live(live.config, live.folder, live.database, live.champion, live.states.features)
    restarted.reload()
    restarted.refresh_states()
    assert shares(ask(restarted, explore=False)) == pytest.approx(shares(before), abs=0)
    restarted.stop()
    shutil.move(away, live.states.features)
    live.refresh_states()
    assert ask(live)["degraded"] == []


def test_a_feature_store_that_forgot_is_told_and_the_last_good_state_serves(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush or an eviction: no error, and no statistics either."""
    before = ask(live, explore=False)

    def empty(_: Path, campaigns: list[str], arm: str) -> Any:
        return np.full((len(campaigns), state.ALLOCATION.statistics_size), np.nan, np.float32), [0.0] * len(campaigns)

    with monkeypatch.context() as patch:
        patch.setattr("feature_repo.features.online_known", empty)
        live.refresh_states()
        answer = ask(live, explore=False)
        assert shares(answer) == pytest.approx(shares(before), abs=0)
        assert "it no longer knows c0, arm" in answer["degraded"][0]["why"]
    live.refresh_states()
    assert ask(live)["degraded"] == []


def test_without_the_database_the_last_good_campaigns_serve_and_say_so(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask(live)

    def away(*_: Any) -> Any:
        raise StoreAwayError("database: gone for the test")

    with monkeypatch.context() as patch:
        patch.setattr("crossmix.ledger.store.Store.read", away)
        patch.setattr("crossmix.ledger.store.Store.write", away)
        live._look()
        answer = ask(live)
        assert shares(answer) == pytest.approx(shares(before), abs=0)
        assert answer["degraded"][0]["what"] == "database"
        later = ask(live, campaign=CAMPAIGNS[1])
        assert not live.recorder.flush()
        assert len(live.recorder) == 2
        restarted = Live(live.config, live.folder, live.database, live.champion, live.states.features)
        restarted.reload()
        assert list(restarted.campaigns) == list(CAMPAIGNS)
    live._look()
    assert ask(live)["degraded"] == []
    assert live.recorder.flush()
    with live.store.read() as connection:
        kept = connection.execute(sa.select(served.c.allocation_id)).scalars().all()
    assert set(kept) == {before["allocation_id"], later["allocation_id"]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "instances: missing or empty"),
        ({"instances": []}, "instances: missing or empty"),
        ({"instances": ["x"]}, r"instances\[0\]: 'x'; send an object"),
        (instance("nobody"), r"instances\[0\].campaign_id: 'nobody' is unknown; known: c0, c1"),
        (instance(budget=-1), r"budget: -1; give an amount above 0"),
        (instance(budget=math.nan), r"budget: nan"),
        (instance(budget=True), r"budget: True"),
        (instance(cycle=-1), r"cycle: -1; give a whole number"),
        (instance(cycle=1.5), r"cycle: 1.5"),
        (instance(arm="both"), r"arm: 'both'; use policy, control, canary"),
        (instance(explore="yes"), r"explore: 'yes'; use true or false"),
        (instance(state=[1.0] * 639), r"state: 639 numbers; send 640"),
        (instance(state=[1.0] * 639 + [math.nan]), r"state\[639\]: nan; give finite"),
        (instance(state=[1.0] * 639 + ["x"]), r"state\[639\]: 'x'"),
        (instance(state=[1.0] * 639 + [10**400]), r"state: a number is too large"),
        (instance(state={"p0_roi": 1.0}), r"state.p0_roi: no statistic of the layout"),
        (instance(state={"p0_last_roi": math.inf}), r"state.p0_last_roi: inf"),
        (instance(limits={"tv": {"max": 0.5}}), r"platform 'tv' is unknown"),
        (instance(limits={"platform0": {"max": 2}}), r"limits.platform0.max: 2; give a share from 0 to 1"),
        (instance(limits={"platform0": {"cap": 1}}), r"limits.platform0.cap: 1; use min, max, step, freeze"),
        (instance(limits={"platform0": {"min": 0.9, "max": 0.1}}), r"instances\[0\].limits: min 0.9 of platform0"),
        (instance(limits={key: {"max": 0.05} for key in NAMES}), r"instances\[0\].limits: the maxes sum to 0.5"),
        (instance(colour="red"), r"colour: unknown field"),
    ],
)
def test_a_question_that_cannot_be_answered_names_field_value_and_remedy(live: Live, body: Any, sentence: str) -> None:
    with pytest.raises(QuestionError, match=sentence):
        Answerer(live).answer(question.of_instances(body, live.bundle.layout), "policy")


def test_a_predictor_needs_no_torch(template: Run, tmp_path: Path) -> None:
    """With torch out of reach a champion answers, from Feast's statistics, with reasons."""
    probe = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
from crossmix.config import from_json
from serving.live.champion import Champion
from serving.live.live import Live
from serving.protocol.predictor import models
out, own = Path({str(template.out)!r}), Path({str(tmp_path / "own")!r})
import json
config = from_json(json.dumps(json.loads((out / "run.json").read_text())["config"]))
champion = Champion(own, None, out / "bundle")
live = Live(config, own, f"sqlite:///{{own}}/serving.db", champion, out / "steps" / "features")
live.reload()
live.refresh_states()
from serving.allocation.answer import Answerer
policy = models(Answerer(live))[0]
told = policy.predict({{"instances": [{{"campaign_id": "c0"}}]}})["predictions"][0]
assert told["degraded"] == [], told["degraded"]
print(told["state_source"], round(sum(line["share"] for line in told["allocation"]), 4))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["log", "1.0"]
