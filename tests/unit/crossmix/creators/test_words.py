"""A plan in sentences: what binds, the dearest first; who is next; how far the bound is."""

from dataclasses import replace
from types import SimpleNamespace

from crossmix.creators import words
from crossmix.creators.plan import Candidate, Cell, Choice, Plan

PLAN = Plan(
    brief="spring",
    currency="EUR",
    budget=100_000,
    cost=99_000,
    effect=20_000,
    low=18_000,
    high=22_000,
    value=20_500,
    bound=21_000,
    gap=0.0238,
    budget_price=0.05,
    rule_prices={"head >= mid": 0.02, "tail >= 0.1 of spend": 0.0, "tiktok <= 0.4 of spend": 0.1},
    choices=(Choice("c1", "tiktok", "launch", "head", 9_000, 900, 400, 1_500),),
    cells=(
        Cell("tiktok", "teaser", "head", 0, 0, 0, 0, 0),
        Cell("tiktok", "launch", "head", 1, 99_000, 20_000, 18_000, 22_000),
    ),
    next_in="c2",
    last_out="c1",
    candidate=Candidate("c2", "tiktok", "mid", 500, 70),
    seconds=1.0,
)


def test_what_binds_is_told_for_a_hundredth_of_the_budget() -> None:
    assert words.unit(PLAN) == 1_000
    assert words.unit(replace(PLAN, budget=7_770)) == 80
    assert words.binding(PLAN) == [
        "budget: 1,000 EUR more would add about 50 (0.2 % of the effect)",
        "tiktok <= 0.4 of spend: 1,000 EUR of relief would add about 100 (0.5 %)",
        "head >= mid: 1,000 EUR of relief would add about 20 (0.1 %)",
    ]
    assert words.free(PLAN) == ["tail >= 0.1 of spend"]


def test_a_budget_that_rules_keep_from_being_spent() -> None:
    assert words.binding(replace(PLAN, budget_price=0.0, rule_prices={})) == [
        "budget: more of it would add nothing, the rules hold the plan back"
    ]


def test_who_is_next_and_who_is_last() -> None:
    assert words.margins(PLAN) == [
        "next in: c2 (tiktok, mid), 500 EUR for 70",
        "last out: c1 (tiktok, launch, head), 9,000 EUR for 900",
    ]
    assert words.margins(replace(PLAN, candidate=None, next_in=None, last_out=None)) == []


def test_effects_have_the_decimals_that_their_unit_needs() -> None:
    """In thousands of installs a plan gives 4.5 of them: that none of its creators gives 0 is told."""
    small = replace(PLAN, effect=4.5, choices=(Choice("c1", "tiktok", "launch", "head", 9_000, 0.9, 0.4, 1.5),))
    assert words.effect(small, 4.5) == "4.500"
    assert words.margins(small)[1] == "last out: c1 (tiktok, launch, head), 9,000 EUR for 0.900"
    assert words.effect(replace(PLAN, effect=523.4), 12.34) == "12.3"
    assert words.effect(PLAN, 12.34) == "12"
    assert words.effect(replace(PLAN, effect=0.0), 0.0) == "0"


def test_what_was_done_is_told_in_plain_figures() -> None:
    before = SimpleNamespace(closed=("teaser",), used=("c1", "c2"))
    after = SimpleNamespace(before=before, gave=9_000.0, expected=22_222.0, spent=46_510.0, learning="Learned anew")
    assert words.done(after, PLAN) == (  # type: ignore[arg-type]
        "teaser: 2 creators gave 9,000 for 46,510 EUR, -59.5 % against what was expected, before saturation. "
        "Learned anew; 100,000 EUR are left."
    )


def test_how_far_the_bound_is() -> None:
    assert "the plan is worth 20,500 and no plan under these rules more than 21,000: at most 2.4 % is missed" in (
        words.distance(PLAN)
    )
