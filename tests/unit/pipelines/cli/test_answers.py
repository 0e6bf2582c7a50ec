"""Answers of drawn markets: no figure that is none, and none that is sure of what was never spent on."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crossmix import whatif
from crossmix.allocate import LimitChange, explain
from crossmix.market.model import Market
from crossmix.schema import Held
from crossmix.state import ALLOCATION
from crossmix.whatif.page import render
from pipelines.cli.recommend import Answer
from pipelines.cli.whatif import as_json, table
from tests.support.markets import make_market, of_totals
from tests.support.planned_bundles import publish, states

TV = Held(platform="tv", missing="impressions", spend=5_000.0, share=0.3, today=50.0, conversions=0.0, revenue=0.0)
NONE = re.compile(r"\b[nN]a[nN]\b|\binf\b|\bNone\b|\de\+\d\d")
"""What no reader wants to see; JSON has null, as Python writes it `null`."""


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """One campaign of a spend history or a log; some platforms without spend today, one of them perhaps never tried."""
    platforms = draw(st.integers(2, 4))
    market = make_market(seed=draw(st.integers(0, 999)), platforms=platforms, campaigns=1)
    if draw(st.booleans()):
        market = of_totals(market, draw(st.floats(0.3, 0.9)))
    static = market.static.clone()
    idle = draw(st.integers(0, platforms - 1))
    static[:, :idle] = 0
    untried = torch.zeros_like(market.freeze)
    untried[:, 0] = idle > 0 and draw(st.booleans())
    maximum = market.maximum.clone()
    maximum[untried] = 0.05
    budget = market.budget * draw(st.sampled_from([0.01, 1.0, 10.0]))
    return replace(market, static=static / static.sum(1, keepdim=True), untried=untried, maximum=maximum, budget=budget)


def plain(page: str) -> str:
    """The words of a page."""
    return re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)


def cells(text: str, platform: str) -> list[str]:
    """The rows that begin with a platform."""
    return [line for line in text.splitlines() if line.startswith(f"{platform} ")]


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(market=markets(), part=st.sampled_from([0.01, 1.0, 2.0]), bound=st.booleans())
def test_no_printed_answer_has_a_figure_that_is_none(market: Market, part: float, bound: bool) -> None:
    last = market.platforms[-1]
    change = LimitChange(minimum={last: 0.2}) if bound else LimitChange()
    scene = whatif.make_scene(market, draws=30, change=change)
    answer = whatif.ask(scene, [("mine", part * scene.budget)], [("roas", 1.0)], simulated_cycles=0, held=[TV])
    untried = frozenset(scene.untried)
    with tempfile.TemporaryDirectory() as folder:
        bundle = publish(Path(folder) / "bundle", market=market)
        statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
        split = explain(bundle, statistics, "c0", bundle.responses["c0"], budget=part * scene.budget, change=change)
    console, page = table(answer), plain(render(answer))
    allocated = Answer(split, None, untried, (TV,)).table()
    for text in (console, page, allocated):
        found = NONE.search(text)
        assert found is None, text[max(found.start() - 80, 0) : found.end() + 80]
        assert "50.0" in text or "50 " in text
    json.loads(as_json(answer), parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))
    json.dumps(Answer(split, None, untried).as_dict(), allow_nan=False)
    for slot, platform in enumerate(market.platforms):
        if platform in untried:
            assert all("never tried" in row for row in cells(allocated, platform))
            assert "next unit" not in cells(allocated, platform)[0]
            assert all("never tried" in row for row in cells(console, platform))
        elif float(market.static[0, slot]) == 0:
            marginal = answer.budgets[0].today.platforms[slot].marginal_roi
            assert marginal.low < marginal.value < marginal.high
            # What its first thousandth of today's budget earns, which its conversions can bring.
            most = float((market.value["requests"] * market.value["ctr"] * market.value["value"])[0, slot])
            assert marginal.value <= 3 * most / (1e-3 * scene.budget)
    for one in split.platforms:
        assert not (one.binding and one.held.startswith("held at its min of 0.0 %"))
        least = one.low <= 1e-4 and one.share <= 1e-4
        assert not (least and one.held.startswith("held at"))


def test_money_that_is_held_stands_in_the_totals() -> None:
    market = make_market(platforms=3, campaigns=1)
    scene = whatif.make_scene(market, draws=20)
    alone = whatif.ask(scene, simulated_cycles=0, held=[TV])
    total = scene.budget + 50
    assert alone.together == f"{scene.budget:,.2f} USD are split and 50.00 held: {total:,.2f} a cycle in all"
    (row,) = cells(table(alone), "tv")
    assert row.split() == ["tv", "-", "held", "50", *["-"] * 5]
    (all_money,) = cells(table(alone), "all")
    assert f"{total:,.0f}" in all_money.split()
    page = plain(render(alone))
    assert "held at its plan" in page
    assert alone.together in page
    assert TV.sentence in page
    shared = whatif.ask(scene, simulated_cycles=0, held=[TV], alone=False)
    assert shared.together is None
    assert not cells(table(shared), "all")
    assert "held at its plan, of all campaigns" in plain(render(shared))
