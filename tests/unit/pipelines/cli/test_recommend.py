"""The table of `crossmix allocate`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from crossmix import bundle as bundles
from crossmix.allocate import LimitChange, changed, explain
from crossmix.artifacts import GateTable, RunRecord
from crossmix.bundle import Bundle
from crossmix.config import ConfigError
from crossmix.schema import Held
from crossmix.state import ALLOCATION
from pipelines.cli import standing
from pipelines.cli.recommend import (
    DRIFTED,
    PROVED_AT,
    SEEN,
    Answer,
    Over,
    allocate,
    as_json,
    bundle_of,
    in_all,
    table,
)
from pipelines.cli.totals import of_all
from tests.support.markets import make_market
from tests.support.planned_bundles import publish, states
from tests.unit.crossmix.evaluate.decision.test_standing import LACKS, OWN, PASSED, decision


def test_it_has_a_column_of_what_differs_from_usual_and_the_reasons_of_the_whole(tmp_path: Path) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    bundle = publish(tmp_path / "bundle", moved=0.3, market=market)
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    answer = explain(bundle, statistics, "c0", bundle.responses["c0"])
    lines = table(answer).splitlines()
    heading = next(line for line in lines if line.startswith("platform"))
    start = heading.index("differs from usual")
    rows = {line.split()[0]: line for line in lines if line.startswith("p")}
    for platform in answer.platforms:
        assert rows[platform.platform][start:] == platform.differs
        assert platform.reason in rows[platform.platform]
    for line in answer.reasons:
        assert line in lines
    assert any(line.startswith("Away from its base plan the trained network moved ") for line in lines)
    assert "(fitting error, given what the policy believes)" in table(answer)
    # The last state drifts; a state as usual differs from whatif's average day in nothing.
    assert {one.differs for one in answer.platforms} != {"as usual"}
    assert f"note: {DRIFTED}" in lines
    usual = replace(answer, platforms=tuple(one._replace(differs="as usual") for one in answer.platforms))
    assert DRIFTED not in table(usual)
    assert f"note: {SEEN}" in table(usual)
    assert SEEN not in table(answer)


def test_the_most_of_what_was_never_tried_is_a_probe(tmp_path: Path) -> None:
    bundle = publish(tmp_path / "bundle", market=make_market(seed=3, campaigns=1, platforms=3))
    statistics = ALLOCATION.statistics(states(make_market(seed=3, campaigns=1, platforms=3), 1).numpy())[0]
    change = LimitChange(maximum={"p0": 0.02})
    answer = explain(bundle, statistics, "c0", bundle.responses["c0"], change=change)
    assert next(one.binding for one in answer.platforms if one.platform == "p0") == "max"
    rows = {line.split()[0]: line for line in table(answer, frozenset({"p0", "p1"})).splitlines() if line}
    assert "held at its max of 2.0%, a probe; what it earns is borrowed from others" in rows["p0"]
    # Of a share that nothing holds none is told, nor of one that was tried.
    assert "a probe" not in rows["p1"]
    assert "what it earns is borrowed from others" in rows["p1"]
    assert "held at its max of 2.0%; the next unit earns" in table(answer)


def test_campaigns_that_run_are_summed_by_currency(tmp_path: Path) -> None:
    market = make_market(seed=3, campaigns=2, platforms=2)
    bundle = publish(tmp_path / "bundle", market=market)
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    first, second = (
        replace(split, budget=money, currency="EUR", expected_revenue=revenue, static_revenue=static,
                platforms=tuple(one._replace(amount=part) for one, part in zip(split.platforms, parts, strict=True)))
        for name, money, revenue, static, parts in (("c0", 100.0, 310.5, 300.0, (25.0, 75.0)),
                                                    ("c1", 300.0, 1_000.0, 980.0, (275.0, 25.0)))
        for split in (explain(bundle, statistics, name, bundle.responses[name]),)
    )  # fmt: skip
    over = Over("c2", "2025-03-01")
    assert in_all([Answer(first, None), over, Answer(second, None)]) == [
        "all 2 campaigns that run: 400.00 EUR for the next cycle: p0 300.00 (75.0%), p1 100.00 (25.0%)\n"
        "expected revenue of the coming cycle 1,310.50 EUR in all (the plans' static splits: 1,280.00); the campaigns' "
        "errors are not independent, so that their intervals do not add up"
    ]
    both = [Answer(first, None), over, Answer(second, None)]
    every = json.loads(as_json(both, ["told"]))
    assert [one["total"]["amount"] for one in every] == [100.0, 0.0, 300.0]
    whole = {
        "currency": "EUR", "campaigns": 2, "budget": 400.0, "expected_revenue": 1_310.5, "static_revenue": 1_280.0,
        "platforms": [{"platform": "p0", "share": 0.75, "amount": 300.0},
                      {"platform": "p1", "share": 0.25, "amount": 100.0}],
        "held": 0.0, "budget_and_held": 400.0,
    }  # fmt: skip
    assert [one["all_campaigns"] for one in every] == [[whole]] * 3
    assert [one["beside"] for one in every] == [["told"]] * 3
    assert "all_campaigns" not in json.loads(as_json(both[:1]))
    # Money that no split moves is no campaign's, and counts once beside all.
    tv = Held("tv", "impressions", 5_000.0, 0.1, 50.0)
    held = [replace(one, held=(tv,), alone=False) if isinstance(one, Answer) else one for one in both]
    every = json.loads(as_json(held))
    assert [one["total"]["held"] for one in every] == [None] * 3
    assert every[0]["all_campaigns"][0]["budget_and_held"] == 450.0
    assert "\nwith 50.00 EUR that is held: 450.00 in all\n" in in_all(held)[0]
    mixed = [held[0], replace(held[2], allocation=replace(second, currency="USD"))]  # type: ignore[type-var]
    assert [one["held"] for one in json.loads(as_json(mixed))[0]["all_campaigns"]] == [None, None]
    # Where no money is there are no shares of it.
    assert of_all([replace(one, budget=0.0) for one in (first, second)], ()) == []
    assert in_all([Answer(first, None), over]) == []
    assert in_all([Answer(first, None), Answer(replace(second, currency="USD"), None)]) == []


def test_a_campaign_s_platforms_are_summed(tmp_path: Path) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    bundle = publish(tmp_path / "bundle", market=market)
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    split = explain(bundle, statistics, "c0", bundle.responses["c0"], budget=200.0)
    total = Answer(split, None).as_dict()["total"]
    assert total["amount"] == pytest.approx(200.0, rel=1e-6)
    assert total["share"] == pytest.approx(1.0, rel=1e-6)
    assert total["expected_revenue"] == pytest.approx(split.expected_revenue)
    assert (total["held"], total["amount_and_held"]) == (0.0, total["amount"])
    row = next(line for line in table(split).splitlines() if line.startswith("all platforms"))
    assert row.split() == ["all", "platforms", "100.0%", "200.00", f"{split.expected_revenue:,.2f}"]
    kept = next(line for line in table(split, fit_alone=split).splitlines() if line.startswith("all platforms"))
    assert kept.split()[2:5] == ["100.0%", "100.0%", "200.00"]


def unregistered(out: Path, probability: float = 0.7) -> Bundle:
    """A run whose gates did not pass: a judged bundle, its gates and its decision, and no champion."""
    folder = out / "steps" / "gate" / "key"
    folder.mkdir(parents=True)
    market = make_market(seed=3, campaigns=2, platforms=4)
    publish(folder / "bundle", market=market)
    bundle = bundles.annotate(folder / "bundle", [asdict(LACKS)])
    GateTable(gates=(LACKS,), passed=False).save(folder)
    rows = OWN.platforms
    new = [row.__class__(**{**asdict(row), "platform": f"p{slot}", "tried": slot > 0}) for slot, row in enumerate(rows)]
    one = OWN.__class__(**{**{name: getattr(OWN, name) for name in OWN.__slots__}, "campaign": "c0", "proved": False,
                           "probability": probability, "platforms": tuple(new)})  # fmt: skip
    decision(one).save(folder)
    RunRecord(run_id="r", config={}, steps={"gate": "steps/gate/key"}).save(out)
    return bundle


def test_a_run_that_registered_nothing_answers_with_the_bundle_that_was_judged(tmp_path: Path) -> None:
    bundle = unregistered(tmp_path)
    assert bundle_of(tmp_path) == tmp_path / "steps" / "gate" / "key" / "bundle"
    found = standing.of_bundle(bundle, tmp_path, "c0")
    assert found is not None
    market = make_market(seed=3, campaigns=2, platforms=4)
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    split = explain(bundle, statistics, "c0", bundle.responses["c0"])
    answer = Answer(split, found, standing.untried(tmp_path, "c0"))
    lines = answer.table().splitlines()
    assert lines[0] == (
        "NOT ENOUGH, explore like this: gate decision.gain, insufficient data: d, wanted P(gain > 0) >= 0.95"
    )
    assert lines[1].startswith("first test: spend 130.00 and 70.00 EUR a day on tiktok in turn")
    assert lines[3].startswith("c0: ")
    assert [line.split()[0] for line in lines if "never tried" in line] == ["p0"]
    plain = answer.as_dict()
    assert (plain["standing"]["word"], plain["untried"], plain["campaign"]) == ("not enough", ["p0"], "c0")


def test_a_split_that_is_likelier_to_lose_stays_as_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = unregistered(tmp_path, probability=0.34)
    market = make_market(seed=3, campaigns=2, platforms=4)
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    monkeypatch.setattr("feature_repo.features.online_statistics", lambda _, names: [statistics] * len(names))
    (answer,) = allocate(bundle_of(tmp_path), tmp_path, "c0", budget="200", out=tmp_path)
    assert isinstance(answer, Answer)
    today = dict(zip(bundle.platforms, bundle.plans["c0"].share, strict=True))
    kept = {one.platform: one for one in answer.allocation.platforms}
    assert {name: one.share for name, one in kept.items()} == pytest.approx(today, abs=1e-6)
    assert {name: one.amount for name, one in kept.items()} == pytest.approx({p: 200 * s for p, s in today.items()})
    assert answer.allocation.expected_revenue == pytest.approx(answer.allocation.static_revenue)
    assert all(one.held == "as today" and one.binding is None for one in kept.values())
    # What the policy would do stands beside it, and is said not to be recommended.
    alone = explain(bundle, statistics, "c0", bundle.responses["c0"], budget=200.0)
    assert answer.fit_alone is not None
    assert [one.share for one in answer.fit_alone.platforms] == [one.share for one in alone.platforms]
    assert max(abs(one.share - today[one.platform]) for one in alone.platforms) > 0.01
    lines = answer.table().splitlines()
    assert lines[0].startswith("NOT ENOUGH, explore like this: keep today's split of campaign c0: ")
    assert lines[3].endswith("for the next cycle, split as today")
    row = next(line.split() for line in lines if line.startswith("p1"))
    other = next(one for one in alone.platforms if one.platform == "p1")
    assert row[1:3] == [f"{today['p1']:.1%}", f"{other.share:.1%}"]
    assert any(line.startswith("not recommended: the split of the column `fit alone`") for line in lines)
    plain = answer.as_dict()
    assert plain["standing"]["keep"] is True
    assert plain["fit_alone"]["expected_revenue"] == pytest.approx(alone.expected_revenue)
    # Limits that are asked for hold, and what they leave is as near today's as can be.
    (bound,) = allocate(bundle_of(tmp_path), tmp_path, "c0", limits=[f"p1::{today['p1'] / 2}"], out=tmp_path)
    assert isinstance(bound, Answer)
    less = {one.platform: one for one in bound.allocation.platforms}
    assert less["p1"].share == pytest.approx(today["p1"] / 2, abs=1e-6)
    assert less["p2"].share - today["p2"] == pytest.approx(today["p1"] / 6, abs=1e-6)
    assert less["p1"].held == f"{today['p1'] / 2:.1%}, as near today's {today['p1']:.1%} as the limits let"
    # Limits of another campaign's proof hold it at today's split: what is served is what is told.
    folder = bundle_of(tmp_path)
    bundles.annotate(folder, [asdict(LACKS)], narrowed={"c0": {"min": ["p0"], "max": ["p1"]}})
    (held,) = allocate(folder, tmp_path, "c0", out=tmp_path)
    assert isinstance(held, Answer)
    assert held.fit_alone is None
    assert held.as_dict()["fit_alone"] is None


def test_a_gain_that_is_likelier_than_not_is_the_policys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unregistered(tmp_path, probability=0.5)
    statistics = ALLOCATION.statistics(states(make_market(seed=3, campaigns=2, platforms=4), 1).numpy())[0]
    monkeypatch.setattr("feature_repo.features.online_statistics", lambda _, names: [statistics] * len(names))
    (answer,) = allocate(bundle_of(tmp_path), tmp_path, "c0", out=tmp_path)
    assert isinstance(answer, Answer)
    assert answer.fit_alone is None
    assert "fit alone" not in answer.table().split("\n", 1)[1]


def test_a_champion_answers_first_and_its_own_gates_speak_for_it(tmp_path: Path) -> None:
    unregistered(tmp_path)
    champion = publish(tmp_path / "bundle", moved=0.3)
    assert bundle_of(tmp_path) == tmp_path / "bundle"
    assert standing.of_bundle(champion, tmp_path, "c0") is None  # nobody judged it
    passed = bundles.annotate(tmp_path / "bundle", [asdict(LACKS) | {"verdict": "pass"}])
    found = standing.of_bundle(passed, tmp_path, "c0")
    # The decision of the run is of another bundle.
    assert found is not None
    assert found.lines() == ["PROVED: all 1 required gates passed"]


def test_a_folder_without_any_bundle_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no finished run \(run\.json is missing\)"):
        bundle_of(tmp_path)


def test_the_cheapest_test_is_told_of_a_spend_history_alone(tmp_path: Path) -> None:
    assert standing.first_tests(tmp_path) == {}
    unregistered(tmp_path)
    assert list(standing.first_tests(tmp_path)) == ["c0"]
    assert standing.first_tests(tmp_path)["c0"].startswith("spend 130.00 and 70.00 EUR a day on tiktok in turn")


def test_beyond_what_was_spent_and_over_are_told(tmp_path: Path) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    publish(tmp_path / "bundle", market=market)
    budget = float(market.budget[0])
    most = {"c0": [budget] * 4 + [budget]}
    bundle = bundles.annotate(tmp_path / "bundle", [], None, (), None, most, {"c1": "2025-03-06"})
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    usual = explain(bundle, statistics, "c0", bundle.responses["c0"])
    assert not any("ever spent" in note or "ended" in note for note in usual.notes)
    more = explain(bundle, statistics, "c0", bundle.responses["c0"], budget=4 * budget)
    assert more.notes[0].startswith(
        f"This split is beyond what was ever spent ({4 * budget:,.2f} where the most in a week was {budget:,.2f} USD"
    )
    assert "all its requests are bought" not in table(more)
    with pytest.raises(ConfigError, match=r"budget: .* times the most that was spent in a week .* give at most"):
        explain(bundle, statistics, "c0", bundle.responses["c0"], budget=11 * budget)
    over = explain(bundle, statistics, "c1", bundle.responses["c1"])
    assert over.notes[0].startswith("c1 ended on 2025-03-06: today it spends nothing.")
    assert Over("c1", bundle.ended["c1"]).table() == (
        "c1: ended on 2025-03-06, 0.00 for the next cycle; `--campaign c1` asks about it all the same"
    )


def test_all_campaigns_together_split_nothing_of_one_that_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    publish(tmp_path / "bundle", market=market)
    bundles.annotate(tmp_path / "bundle", [], ended={"c1": "2025-03-06"})
    rows = ALLOCATION.statistics(states(market, 2).numpy())
    monkeypatch.setattr("feature_repo.features.online_statistics", lambda _, names: rows[: len(names)])
    both = allocate(tmp_path / "bundle", tmp_path)
    assert [type(one) for one in both] == [Answer, Over]
    plain = [one.as_dict() for one in both]
    assert sum(one["budget"] for one in plain) == pytest.approx(float(market.budget[0]))
    (named,) = allocate(tmp_path / "bundle", tmp_path, "c1")
    assert isinstance(named, Answer)
    assert named.allocation.budget == pytest.approx(float(market.budget[1]))


def test_a_change_of_todays_budget_is_of_every_campaign_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    publish(tmp_path / "bundle", market=market)
    rows = ALLOCATION.statistics(states(market, 2).numpy())
    monkeypatch.setattr("feature_repo.features.online_statistics", lambda _, names: rows[: len(names)])
    more = allocate(tmp_path / "bundle", tmp_path, budget="+30%")
    assert [one.as_dict()["budget"] for one in more] == pytest.approx((1.3 * market.budget).tolist())
    for typed, message in (("200", "--budget: it is for one of the 2 campaigns"), ("30%", "with its sign, as \\+30%")):
        with pytest.raises(ConfigError, match=message):
            allocate(tmp_path / "bundle", tmp_path, budget=typed)


def test_what_was_proved_is_told_of_another_budget_as_of_todays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    publish(tmp_path / "bundle", market=market)
    most = {"c0": [float(market.budget[0])] * 5}
    bundles.annotate(tmp_path / "bundle", [asdict(PASSED)], None, (), None, most)
    rows = ALLOCATION.statistics(states(market, 2).numpy())
    monkeypatch.setattr("feature_repo.features.online_statistics", lambda _, names: rows[: len(names)])
    told = f"note: {PROVED_AT.format(float(market.budget[0]), 'USD')}"
    (today,) = allocate(tmp_path / "bundle", tmp_path, "c0")
    (more,) = allocate(tmp_path / "bundle", tmp_path, "c0", budget="+30%")
    assert told not in today.table()
    assert told in more.table()


def test_limits_of_a_proof_are_those_that_no_call_changes(tmp_path: Path) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    publish(tmp_path / "bundle", market=market)
    bundle = bundles.annotate(tmp_path / "bundle", [], narrowed={"c0": {"min": ["p0"], "max": ["p1", "p2"]}})
    own = bundle.limits["c0"]
    found = bundle.proved("c0", own)
    assert found is not None
    assert (found.minimum_P.tolist(), found.maximum_P.tolist()) == (
        [True, False, False, False],
        [False, True, True, False],
    )
    typed = changed(own, bundle.platforms, LimitChange(maximum={"p1": 0.3}))
    found = bundle.proved("c0", typed)
    assert found is not None
    assert found.maximum_P.tolist() == [False, False, True, False]
    assert bundle.proved("c1", own) is None
