"""What is drawn as told after each cycle is what was told then; word, interval and colour never contradict."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.config import Guardrails
from crossmix.ledger.store import Store
from serving.experiment.compare import CONTROL, POLICY, RUNNING, Series, compare, word_of
from serving.experiment.page import colour
from serving.experiment.verdict import render, status
from tests.support.experiments import DAY, START, deliver, event, make_store, paired_days
from tests.support.html_pages import words

LOOSE = Guardrails(roi_drop=0.95, cpa_rise=50.0, utilisation_drop=0.99)
"""Guardrails that are out of the way."""


def _at(days: float) -> datetime:
    return START + days * DAY + timedelta(minutes=1)


def _turning(good: float, bad: float, turn: int, days: int, seed: int = 3) -> tuple[list[float], list[float]]:
    """ROI of a policy that turns on a day; noise of 3 % its own."""
    noise = 0.03 * np.random.default_rng(seed).standard_normal(days)
    return [math.exp(math.log1p(good if day < turn else bad) + noise[day]) for day in range(days)], [1.0] * days


def test_a_policy_that_turned_bad_is_not_called_better(tmp_path: Path) -> None:
    """Better by 20 % for six days, then worse by half: "The policy is better: ROI -18.3 %" was told."""
    store = make_store(tmp_path, days=28)
    deliver(store, paired_days(*_turning(0.2, -0.5, 6, 14)))
    early = status(store, "first", _at(6), LOOSE)
    assert early["verdict"]["word"] == POLICY
    late = status(store, "first", _at(10), LOOSE)["verdict"]
    assert late["word"] == "undecided again"
    assert late["interval"]["low"] < 0 < late["interval"]["high"]
    assert re.search(
        r"After cycle \d+ the policy was better, ROI \+\S+% \[\+.*; that no longer stands\.$", late["line"]
    )


def test_one_that_turned_right_round_says_both(tmp_path: Path) -> None:
    store = make_store(tmp_path, days=60)
    deliver(store, paired_days(*_turning(0.2, -0.5, 7, 50)))
    verdict = status(store, "first", _at(50), LOOSE)["verdict"]
    assert verdict["word"] == CONTROL
    assert verdict["line"].startswith("Control is better: ROI -")
    assert re.search(r"says so since cycle [12]\d\. After cycle [5-8] the policy was better", verdict["line"])
    assert verdict["interval"]["high"] < 0


def test_history_is_what_was_told_as_each_cycle_was_first_counted(tmp_path: Path) -> None:
    """Conversions come late, an arm's report comes a day late, and a day without sales joins two days to a figure."""
    rng = np.random.default_rng(5)
    rows: list[tuple[float, dict[str, Any]]] = []
    for day in range(12):
        for arm, planned in (("policy", 700.0), ("control", 300.0)):
            share = 0.6 if day in (3, 4) else 0.9
            late = arm == "control" and day == 7
            sold = 0.0 if (arm, day) == ("control", 5) else planned * float(np.exp(0.1 * rng.standard_normal()))
            arrival = day + (1.3 if late else 0.9)
            given = {"spend": 0.9 * planned, "known": 3 + int(arrival)}
            rows.append((arrival, event(arm, day, revenue=share * sold, **given)))
            if sold:
                rows.append((day + 2.4, event(arm, day, revenue=(1 - share) * sold, spend=0.0, known=day + 5)))
    store = make_store(tmp_path)
    first: dict[int, dict[str, Any]] = {}
    last: dict[int, dict[str, Any]] = {}
    arrivals = sorted({arrival for arrival, _ in rows})
    moments = sorted({*(day for day in range(1, 13)), *arrivals})
    for moment in moments:
        now = [row | {"received": START + moment * DAY} for arrival, row in rows if arrival == moment]
        if now:
            deliver(store, now)
        found = status(store, "first", _at(moment), LOOSE)
        roi = found["lifts"]["roi"]
        if "always_valid" in roi:
            last[found["cycles"]["finished"]] = roi["always_valid"] | {"cycles_per_figure": roi["cycles_per_figure"]}
            first.setdefault(found["cycles"]["finished"], last[found["cycles"]["finished"]])
    looks = status(store, "first", _at(12.5), LOOSE)["lifts"]["roi"]["by_figure"]
    assert len(looks) >= 6
    assert {look["cycles_per_figure"] for look in looks} == {1, 2}
    for look in looks[:-1]:
        # The cycle that was waited for: with what had come in by the end of the next.
        before = (last if look["cycle"] == 8 else first)[look["cycle"]]
        for name in ("lift", "low", "high", "p", "figures", "cycles_per_figure"):
            assert look[name] == pytest.approx(before[name]), (look["cycle"], name)
    late = status(store, "first", _at(12.5), LOOSE)["late"]
    assert [one["cycle"] for one in late] == list(range(1, 13))
    assert late[3]["then"]["policy"] == pytest.approx(0.6 * late[3]["now"]["policy"])


_RATIOS = st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=40)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_RATIOS, st.floats(0.001, 0.2), st.booleans())
def test_word_interval_p_and_colour_never_contradict(ratios: list[float], level: float, closes: bool) -> None:
    pairs = Series(1, np.exp(ratios), np.ones(len(ratios)))
    closes &= len(ratios) <= 5
    # What the looks have left of a level is drawn, and kept for few of them.
    level = 0.05 if closes else level
    tests = compare(pairs, level, closes=closes)
    for name in ("always_valid", "closing"):
        if name not in tests:
            continue
        one = tests[name]
        word, shade = word_of(one), colour("roi", one)
        assert {POLICY: "better", CONTROL: "worse", RUNNING: ""}[word] == shade
        clear = (one["low"] is not None and one["low"] > 0) or (one["high"] is not None and one["high"] < 0)
        assert (word != RUNNING) == clear
        edge = one.get("level", level)
        if not math.isclose(one["p"], edge, rel_tol=1e-6):
            assert (one["p"] < edge) == clear
        if clear:
            assert (one["lift"] > 0) == (word == POLICY)
        if one["low"] is not None and one["high"] is not None:
            assert one["low"] <= one["lift"] <= one["high"]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.lists(st.floats(-0.8, 0.8), min_size=3, max_size=14),
    st.lists(st.floats(0.3, 3.0), min_size=14, max_size=14),
    st.sampled_from([None, "a person's reason"]),
)
def test_what_is_said_in_words_is_what_is_shown(
    tmp_path_factory: pytest.TempPathFactory, ratios: list[float], control: list[float], ended: str | None
) -> None:
    """Over random series: sentence, word, head, table and history agree, while it runs, at its end, and ended."""
    days = len(ratios)
    policy = [roi * math.exp(ratio) for roi, ratio in zip(control, ratios, strict=False)]
    over = {} if ended is None else {"ended": START + days * DAY, "reason": ended, "ended_by": "anna"}
    store: Store = make_store(tmp_path_factory.mktemp("any"), days=10, **over)
    deliver(store, paired_days(policy, control[:days]))
    found = status(store, "first", _at(days), LOOSE)
    verdict, looks = found["verdict"], found["lifts"]["roi"]["by_figure"]
    word, interval = verdict["word"], verdict["interval"]
    assert word_of(interval) == (word if word in (POLICY, CONTROL) else RUNNING)
    assert ("is better" in verdict["line"].split(":")[0]) == (word in (POLICY, CONTROL))
    assert f"{interval['lift']:+.1%}" in verdict["line"]
    assert all(look["word"] == word_of(look) for look in looks)
    if verdict["decided_by"] == "always-valid":
        assert looks[-1]["lift"] == interval["lift"]
    text = words(render(found)).replace("\u2212", "-").replace("\u2009", "").replace("\u202f", "")
    assert verdict["line"][:40].replace(",", "") in text.replace(",", "")
    if interval["low"] is not None and interval["high"] is not None:
        assert f"{100 * interval['low']:+.1f}%" in text
