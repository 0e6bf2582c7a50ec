"""Guardrails of several currencies: each is watched, none hides another, and together they have one level."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from typer.testing import CliRunner

from crossmix.config import Guardrails, load
from crossmix.evaluate.stats.newest import newest, windows
from crossmix.evaluate.stats.sequential import sequential
from crossmix.ledger.audit import trail
from crossmix.ledger.experiments import get
from crossmix.ledger.outcomes import Array
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.store import Store
from pipelines.cli.main import app
from serving.experiment import watch
from serving.experiment.guardrails import FIGURE, SHARE, Rail, broken, rails, shares, stopped_by_day, told
from serving.experiment.life import router
from serving.experiment.verdict import render, status
from tests.support.experiments import DAY, NOISE, START, assign, deliver, make_store, paired_days

CONFIG = load("laptop")
SETTINGS = Guardrails()
LIMITS = {"roi_drop": 0.0, "utilisation_drop": -SETTINGS.utilisation_drop, "cpa_rise": SETTINGS.cpa_rise}
YEN = {"currency": "JPY", "cycle_budget": 150_000.0}


def _at(days: int) -> datetime:
    return START + days * DAY + timedelta(hours=1)


def _play(store: Store, campaign: str, lifts: list[float], budget: float = 1_000.0, shift: int = 0) -> None:
    """Days of a campaign by the lift of its ROI; its spend per conversion is the same in both arms."""
    policy = [math.exp(math.log1p(lift) + NOISE[(day + shift) % 14]) for day, lift in enumerate(lifts)]
    rows = paired_days(policy, [1.0] * len(lifts), campaign_id=campaign)
    for row in rows:
        row["revenue"], row["spend"] = (row[name] * budget / 1_000 for name in ("revenue", "spend"))
    deliver(store, rows)


def _store(folder: Path, euro: list[float], yen: list[float], euros: int = 9) -> Store:
    """Campaigns in euros and one in yen."""
    folder.mkdir(exist_ok=True)
    store = make_store(folder, campaigns={f"e{n}": {} for n in range(euros)} | {"j": YEN})
    for n in range(euros):
        _play(store, f"e{n}", euro, shift=n)
    _play(store, "j", yen, 150_000.0, shift=4)
    return store


def _rails(store: Store, days: int) -> dict[tuple[str, str | None], Rail]:
    found = rails(read(store, get(store, "first"), _at(days)), SETTINGS)
    return {(rail.name, rail.currency): rail for rail in found}


def test_a_currency_that_alone_goes_wrong_ends_the_experiment_and_is_named(tmp_path: Path) -> None:
    """-60 % in yen beside +30 % in euros: their pooled lift is +15.6 %."""
    store = _store(tmp_path, [0.3] * 10, [-0.6] * 10)
    found = _rails(store, 10)
    assert list(found) == [(name, currency) for name in FIGURE for currency in (None, "EUR", "JPY")]
    assert {key for key, rail in found.items() if rail.verdict == "broken"} == {("roi_drop", "JPY")}
    pooled = found["roi_drop", None].lift
    assert pooled == pytest.approx(math.exp(0.9 * math.log(1.3) + 0.1 * math.log(0.4)) - 1, abs=0.01)
    yen = [0.4 * math.exp(NOISE[(day + 4) % 14]) for day in range(10)]
    look = sequential(yen, [1.0] * 10, 2 * 0.08 * 0.01 * 0.25)
    rail = found["roi_drop", "JPY"]
    assert (rail.lift, rail.low, rail.high) == pytest.approx((look.lift, look.low, look.high))
    assert rail.sentence.startswith("guardrail roi_drop: the policy's ROI in JPY is -60.1%")
    assert rail.sentence.endswith("against control's after 10 cycles, wholly below 0%")
    assert " ROI over all currencies is +15." in found["roi_drop", None].sentence


def test_the_end_is_kept_with_the_currency_and_told_everywhere(tmp_path: Path) -> None:
    store = _store(tmp_path, [0.3] * 10, [-0.6] * 10)
    store.clock = lambda: _at(10)
    running = status(store, "first", _at(10))
    assert running["verdict"]["word"] == "guardrail broken"
    assert "which ends the experiment: guardrail roi_drop: the policy's ROI in JPY is" in running["verdict"]["line"]
    called: list[str] = []
    one = watch.Watch(store, "first", CONFIG, lambda reason, version: called.append(reason), 60, lambda: _at(10))
    assert one.look() is True
    ended = get(store, "first")
    assert (ended.ended_by, called) == ("guardrail", [ended.reason])
    assert str(ended.reason).startswith("guardrail roi_drop: the policy's ROI in JPY is -60.1%")
    assert [entry.reason for entry in trail(store, "first") if entry.action == "experiment.end"] == called
    served = FastAPI()
    served.include_router(router(SimpleNamespace(store=store, config=CONFIG, clock=store.clock), changed=lambda: None))
    client = TestClient(served)
    answer = client.get("/experiments/first").json()
    assert client.get("/experiments").json()["experiments"][0]["reason"] == ended.reason
    assert answer["verdict"]["word"] == "ended by guardrail"
    assert answer["verdict"]["line"] == f"Ended after 10 of 14 cycles by {ended.reason}."
    assert {name: part["word"] for name, part in answer["currencies"].items()} == {
        "EUR": "policy better",
        "JPY": "control better",
    }
    page = render(answer)
    assert "ROI in JPY is -60.1%" in page
    assert "of the pooled lift, by itself: control better" in page
    printed = CliRunner().invoke(app, ["experiment", "status", "--database", store.url]).output
    assert "broken            guardrail roi_drop: the policy's ROI in JPY is -60.1%" in printed
    assert "roi in JPY    10% of the lift  -60.1%" in printed


def test_where_both_break_it_the_currency_is_named_too(tmp_path: Path) -> None:
    """One campaign each: the pooled lift is -28 %, as the yen pull it down."""
    found = _store(tmp_path / "one", [0.3] * 10, [-0.6] * 10, euros=1)
    said = watch.check(found, "first", CONFIG, _at(10))
    assert str(said).startswith("guardrail roi_drop: the policy's ROI over all currencies is -27.")
    assert str(said).endswith("wholly below 0%; broken in JPY alone too")
    every = _store(tmp_path / "all", [-0.3] * 10, [-0.6] * 10, euros=1)
    assert str(watch.check(every, "first", CONFIG, _at(10))).endswith("; broken in EUR, JPY alone too")
    calm = _store(tmp_path / "none", [0.3] * 10, [0.1] * 10, euros=1)
    assert watch.check(calm, "first", CONFIG, _at(10)) is None


def test_yen_do_not_leak_into_euros(tmp_path: Path) -> None:
    """As amounts the yen are 16 times the euros; what they do is in no guardrail of the euros."""
    bad, good = (_store(tmp_path / name, [0.3] * 10, [yen] * 10) for name, yen in (("bad", -0.6), ("good", 0.3)))
    for name in FIGURE:
        assert _rails(bad, 10)[name, "EUR"] == _rails(good, 10)[name, "EUR"]
    euro = _rails(bad, 10)["roi_drop", "EUR"]
    days = [np.mean([1.3 * math.exp(NOISE[(day + n) % 14]) for n in range(9)]) for day in range(10)]
    assert euro.verdict == "holds"
    assert euro.lift == pytest.approx(math.expm1(np.log(days).mean()))


def test_a_single_currency_has_the_guardrails_of_before(tmp_path: Path) -> None:
    """All of the level, one guardrail each, the same in whichever currency."""
    lifts = [0.05] * 6 + [-0.1] * 4
    store, other = make_store(tmp_path), tmp_path / "yen"
    _play(store, "brand", lifts)
    policy = [math.exp(math.log1p(lift) + noise) for lift, noise in zip(lifts, NOISE, strict=False)]
    found = _rails(store, 10)
    assert list(found) == [(name, None) for name in FIGURE]
    rail, whole = found["roi_drop", None], sequential(policy, [1.0] * 10, 2 * 0.08 * SETTINGS.false_stops)
    assert rail.verdict == "holds"
    assert (rail.lift, rail.low, rail.high) == pytest.approx((whole.lift, whole.low, whole.high))
    other.mkdir()
    yen = make_store(other, campaigns={"brand": YEN})
    _play(yen, "brand", lifts, 150_000.0)
    for name in FIGURE:
        one, same = found[name, None], _rails(yen, 10)[name, None]
        assert (one.verdict, one.detail) == (same.verdict, same.detail)
        assert (one.low, one.high) == pytest.approx((same.low, same.high))


def test_the_newest_cycles_of_a_currency_are_judged_at_its_part_of_the_level(tmp_path: Path) -> None:
    """The yen turn bad on day 8: their newest three days, at a quarter of a look's level, are enough on day 10."""
    store = _store(tmp_path, [0.1] * 10, [0.2] * 7 + [-0.6] * 3)
    said = [watch.check(store, "first", CONFIG, _at(day)) is not None for day in (8, 9, 10)]
    assert said == [False, False, True]
    rail = _rails(store, 10)["roi_drop", "JPY"]
    yen = [lift * math.exp(NOISE[(day + 4) % 14]) for day, lift in enumerate([1.2] * 7 + [0.4] * 3)]
    level = 2 * 0.6 * 0.01 * 0.25 * (0.75 / 28) * 0.2
    look = newest(yen, [1.0] * 10, windows(SETTINGS.window)[0], level)
    assert look is not None
    assert rail.cycles == 3
    assert (rail.low, rail.high) == pytest.approx((look.low, look.high))
    assert "ROI in JPY is -6" in rail.detail
    assert "in the newest 3 cycles" in rail.detail


def test_a_currency_that_comes_later_is_judged_on_its_own_cycles(tmp_path: Path) -> None:
    store = make_store(tmp_path, campaigns={"e": {}, "j": YEN})
    _play(store, "e", [0.1] * 12)
    rows = paired_days([0.4 * math.exp(noise) for noise in NOISE[:12]], [1.0] * 12, campaign_id="j")
    deliver(store, [row | {"revenue": row["revenue"] * 150} for row in rows if row["cycle"] >= 3 + 6])
    early = _rails(store, 8)["roi_drop", "JPY"]
    needed = "in JPY: 2 finished cycles with feedback; 3 are needed: 1 more"
    assert (early.verdict, early.cycles, early.detail) == ("insufficient data", 2, needed)
    late = _rails(store, 12)["roi_drop", "JPY"]
    assert (late.verdict, late.cycles) == ("broken", 3)
    yen = [0.4 * math.exp(noise) for noise in NOISE[6:12]]
    look = newest(yen, [1.0] * 6, 3, 2 * 0.6 * 0.01 * 0.25 * (0.75 / 28) * 0.2)
    assert look is not None
    assert (late.lift, late.high) == pytest.approx((look.lift, look.high))


def test_a_currency_in_which_the_policy_falls_silent_is_named(tmp_path: Path) -> None:
    """Silence of the yen alone, while euros go on: in so many cycles on end as their part of the level asks for."""
    store = make_store(tmp_path, campaigns={"e": {}, "j": YEN})
    _play(store, "e", [0.1] * 14)
    rows = paired_days([1.0] * 14, [1.0] * 14, campaign_id="j")
    deliver(
        store, [row | ({"revenue": 0.0} if row["arm"] == "policy" and row["cycle"] >= 3 + 4 else {}) for row in rows]
    )
    once = 0.7 ** (0.7 / 0.3) - 0.7 ** (1 / 0.3)
    enough = math.ceil(math.log(0.01 * 0.08 * 0.25 / 14) / math.log(once))
    assert enough == 6
    assert _rails(store, 9)["roi_drop", "JPY"].verdict != "broken"
    rail = _rails(store, 10)["roi_drop", "JPY"]
    assert rail.verdict == "broken"
    assert rail.detail == (
        "the policy arm had no revenue in JPY in its last 6 cycles while control had in each; "
        "6 on end end the experiment"
    )
    assert _rails(store, 10)["roi_drop", None].verdict == "holds"


def test_a_bad_campaign_is_marked_and_ends_nothing(tmp_path: Path) -> None:
    """Nine good campaigns and one at -40 % in the same currency."""
    names = [f"c{n}" for n in range(10)]
    store = make_store(tmp_path, campaigns={name: {} for name in names})
    for n, name in enumerate(names):
        _play(store, name, [-0.4 if n == 9 else 0.2] * 10, shift=n)
    assign(store, policy=70, control=30)
    found = status(store, "first", _at(10))
    assert watch.check(store, "first", CONFIG, _at(10)) is None
    assert found["verdict"]["word"] == "policy better"
    rows = {row["campaign_id"]: row for row in found["by_campaign"]["rows"]}
    assert [name for name, row in rows.items() if row["harm"]] == ["c9"]
    assert (rows["c9"]["word"], rows["c9"]["lift"]["lift"]) == ("control better", pytest.approx(-0.4, abs=0.02))
    note = next(sentence for sentence in found["notes"] if sentence.startswith("campaigns listed here"))
    assert "guardrail of ROI: c9; no campaign's own ends the experiment" in note
    assert note.endswith("with a chance of up to 2.50%")
    assert "ends nothing" in render(found)
    # Beyond a threshold of -50 % it does not lie, though control is better.
    loose = status(store, "first", _at(10), Guardrails(roi_drop=0.5))
    assert not any(row["harm"] for row in loose["by_campaign"]["rows"])
    # A campaign's own view has the guardrails of the experiment, and does not say that it ends.
    alone = status(store, "first", _at(10), campaign="c9")
    assert alone["verdict"]["word"] == "control better"
    assert alone["guardrails"] == found["guardrails"]


def _stopped(ratio_CRT: Array, name: str, settings: Guardrails) -> NDArray[np.bool_]:
    """Whether the guardrails of a figure have been broken by each day, (R, T): both currencies', and over both."""
    every, each = shares(len(ratio_CRT))
    parts = [(ratio_CRT.mean(0), every), *((one_RT, each) for one_RT in ratio_CRT)]
    ones_RT = np.ones_like(ratio_CRT[0])
    return np.asarray(
        np.logical_or.reduce(
            [stopped_by_day(name, np.exp(one_RT), ones_RT, LIMITS[name], settings, share) for one_RT, share in parts]
        ),
        np.bool_,
    )


@pytest.mark.parametrize("currencies", [1, 2, 10])
def test_together_they_have_the_level_once(currencies: int) -> None:
    every, each = shares(currencies)
    scopes = every + (currencies * each if currencies > 1 else 0.0)
    assert scopes * sum(sum(parts) for parts in SHARE.values()) == pytest.approx(1.0)


def test_false_stops_stay_below_one_in_a_hundred_with_two_currencies() -> None:
    """A/A at the edge of every threshold, the worst that is no harm; 28 days, daily looks, seed 20,000."""
    rng, runs = np.random.default_rng(20_000), 5_000
    stopped_RT = np.zeros((runs, 28), np.bool_)
    unshared_RT = np.zeros((runs, 28), np.bool_)
    for name, limit in LIMITS.items():
        ratio_CRT = 0.126 * rng.standard_normal((2, runs, 28)) + math.log1p(limit)
        stopped_RT |= _stopped(ratio_CRT, name, SETTINGS)
        for one_RT in (*ratio_CRT, ratio_CRT.mean(0)):
            unshared_RT |= stopped_by_day(name, np.exp(one_RT), np.ones_like(one_RT), limit, SETTINGS)
    false, unshared = float(stopped_RT[:, -1].mean()), float(unshared_RT[:, -1].mean())
    assert 0.001 < false <= 0.01
    # Each with the whole level they would stop twice as many.
    assert unshared > 2 * false


def test_what_is_simulated_is_what_the_server_does(tmp_path: Path) -> None:
    """The first day on which the ledger's guardrails break is the simulation's."""
    euro, yen = [0.1] * 14, [0.0] * 6 + [-0.35] * 8
    store = _store(tmp_path, euro, yen, euros=1)
    ratio_CRT = np.array(
        [
            [[math.log1p(lift) + NOISE[day] for day, lift in enumerate(euro)]],
            [[math.log1p(lift) + NOISE[(day + 4) % 14] for day, lift in enumerate(yen)]],
        ]
    )
    first = int(_stopped(ratio_CRT, "roi_drop", SETTINGS)[0].argmax()) + 1
    assert first == 9
    one = get(store, "first")
    spoke = [day for day in range(3, 12) if broken(read(store, one, _at(day)), SETTINGS) is not None]
    assert spoke[0] == first


def test_nothing_is_told_while_all_hold() -> None:
    held = Rail("roi_drop", None, "roi", 0.0, 0.1, 0.05, 0.15, 9, "holds", "x")
    assert told([held]) is None
    assert told([]) is None
