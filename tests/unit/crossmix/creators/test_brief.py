"""Briefs are read strictly; whatever does not fit is named with a remedy."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.creators import brief as briefs
from crossmix.creators.brief import BriefError, Order, Share
from tests.support import creators

TEXT = """
name: spring
budget: 100000
currency: EUR
category: beauty
channels: [instagram, tiktok]
phases: [teaser, launch]
tiers: {head: 500000, mid: 50000, tail: 0}
audience: {tiktok: 400000}
rules:
  - {kind: order, of: tier, names: [head, mid, tail]}
  - {kind: share, phase: launch, least: 0.4, most: 0.7}
must_have: [c17]
forbidden: [c3]
"""
TREE: dict[str, Any] = {
    "budget": 1000,
    "currency": "EUR",
    "channels": ["instagram", "tiktok"],
    "phases": ["teaser", "launch"],
    "tiers": {"head": 500_000, "mid": 50_000, "tail": 0},
}


def test_a_brief_is_read(tmp_path: Path) -> None:
    path = tmp_path / "brief.yaml"
    path.write_text(TEXT)
    got = briefs.load(path)
    assert (got.name, got.budget, got.category, got.must_have) == ("spring", 100_000.0, "beauty", ("c17",))
    assert list(got.tiers.items()) == [("head", 500_000), ("mid", 50_000), ("tail", 0)]
    order, share = got.rules
    assert isinstance(order, Order)
    assert order.names == ("head", "mid", "tail")
    assert isinstance(share, Share)
    assert (share.phase, share.least, share.most, share.of) == ("launch", 0.4, 0.7, "spend")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budgett": 5}, "brief.budgett: unknown key; did you mean budget?"),
        ({"budget": None}, "brief.budget: None does not fit; give a number, without quotes"),
        ({"budget": 0}, "brief.budget: 0 does not fit; give a number above 0"),
        ({"budget": "many"}, "brief.budget: 'many' does not fit; give a number, without quotes"),
        ({"budget": "100"}, "brief.budget: '100' does not fit; give a number, without quotes"),
        ({"budget": True}, "brief.budget: True does not fit; give a number, without quotes"),
        ({"channels": "tiktok"}, "brief.channels: 'tiktok' does not fit; write a list, as [a, b]"),
        ({"tiers": ["head"]}, "brief.tiers: ['head'] does not fit; write names and values, as name: value"),
        ({"tiers": {"head": -1}}, "brief.tiers.head: -1 does not fit; give 0 or more"),
        ({"name": ""}, "brief.name: '' does not fit; give a name"),
        ({"must_have": [17]}, "brief.must_have.0: 17 is no text; put it in quotes"),
        ({"channels": []}, "brief.channels: [] does not fit; name at least 1"),
        ({"channels": ["tiktok", "tiktok"]}, "brief.channels: 'tiktok' is there twice"),
        ({"must_have": ["a"], "forbidden": ["a"]}, "brief.must_have: 'a' is forbidden too"),
        ({"tiers": {"tail": 0, "head": 500}}, "brief.tiers.head: 500 is not below tail's 0"),
        ({"audience": {"radio": 5}}, "brief.audience.radio: no such channel; use instagram, tiktok"),
        ({"rules": [{"kind": "floor"}]}, "brief.rules.0.kind: write kind: order or kind: share"),
        ({"rules": [{"kind": "share", "least": 0.2}]}, "brief.rules.0: all cells have all of the spend"),
        ({"rules": [{"kind": "share", "tier": "head"}]}, "brief.rules.0: asks for nothing"),
        (
            {"rules": [{"kind": "share", "tier": "head", "least": 1.2}]},
            "brief.rules.0.least: 1.2 does not fit; give 1 at most; of a share 0.4 is 40 %",
        ),
        (
            {"rules": [{"kind": "share", "tier": "head", "least": 0.6, "most": 0.2}]},
            "brief.rules.0.least: 0.6 is above most = 0.2",
        ),
        (
            {"rules": [{"kind": "share", "tier": "mega", "least": 0.6}]},
            "brief.rules.0.tier: 'mega' is no tier of this brief; use head, mid, tail",
        ),
        (
            {"rules": [{"kind": "share", "teir": "head", "least": 0.6}]},
            "brief.rules.0.teir: unknown key; did you mean tier?",
        ),
        (
            {"rules": [{"kind": "order", "of": "tier", "names": ["head", "giant"]}]},
            "brief.rules.0.names: 'giant' is no tier",
        ),
        (
            {"rules": [{"kind": "order", "of": "tier", "names": ["head", "mid"], "tier": "tail"}]},
            "brief.rules.0.tier: an order of tiers cannot be within one",
        ),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BriefError) as told:
        briefs.of({**copy.deepcopy(TREE), **change})
    assert says in str(told.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BriefError, match=r"brief\.currency: is missing"):
        briefs.of({name: value for name, value in TREE.items() if name != "currency"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT + "budget: 5\n", "key 'budget' is there twice"),
        ("budget: [", "not YAML"),
        ("- budget", "is no mapping"),
        (TEXT.replace("100000", ".nan"), "brief.budget"),
        (TEXT.replace("100000", ".inf"), "brief.budget"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
        ("budget: 2024-99-99", "not YAML: month must be in 1..12"),
        ("budget: !!int x", "not YAML: invalid literal for int()"),
        ("budget: " + "9" * 5_000, "not YAML: Exceeds the limit"),
        ("a: !!timestamp x", "not YAML"),
        ("a: " + "[" * 3_000, "not YAML: maximum recursion depth"),
        ("a: &a [*a]", "not plain data"),
    ],
)
def test_yaml_is_read_strictly(text: str, says: str) -> None:
    with pytest.raises(BriefError) as told:
        briefs.from_yaml(text)
    assert says in str(told.value)


def test_a_long_value_is_cut_and_many_mistakes_are_counted() -> None:
    with pytest.raises(BriefError) as told:
        briefs.of({**TREE, "budget": "x\n" * 10_000, **{f"key{at}": 1 for at in range(20)}})
    assert "\n" not in str(told.value)
    assert str(told.value).endswith("; and 18 more like these")
    assert len(str(told.value)) < 1_000


@given(st.lists(st.tuples(st.floats(0, 1), st.text(max_size=3), st.integers(0, 30)), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_damaged_brief_is_read_or_told(damage: list[tuple[float, str, int]]) -> None:
    text = TEXT
    for part, put, drop in damage:
        at = int(part * len(text))
        text = text[:at] + put + text[at + drop :]
    told: list[str] = []
    try:
        got = briefs.from_yaml(text)
    except BriefError as error:
        told.append(str(error))
    if told:
        assert "\n" not in told[0]
    else:
        assert got.budget > 0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BriefError, match="no such file"):
        briefs.load(tmp_path / "none.yaml")


def test_a_brief_of_any_size_is_read_or_refused_at_once() -> None:
    many = [f"c{n}" for n in range(60_000)]
    # Compared one by one, these would be two thousand million comparisons.
    got = briefs.of({**TREE, "must_have": many[:30_000], "forbidden": many[30_000:]})
    assert (len(got.must_have), got.forbidden[-1]) == (30_000, "c59999")
    with pytest.raises(BriefError, match=r"brief\.must_have: 'c29999' is there twice; drop one"):
        briefs.of({**TREE, "must_have": [*many[:30_000], "c29999"]})
    with pytest.raises(BriefError, match=r"brief\.must_have: 'c7' is forbidden too"):
        briefs.of({**TREE, "must_have": ["c7"], "forbidden": many})
    tiers = {f"t{n}": 1_000 - n for n in range(20)}
    with pytest.raises(
        BriefError, match=r"brief\.phases: 2 channels x 50 phases x 20 tiers are 2,000 cells, a plan has 1,000"
    ):
        briefs.of({**TREE, "phases": [f"p{n}" for n in range(50)], "tiers": tiers})
    with pytest.raises(BriefError, match=r"brief\.phases: "):
        briefs.of({**TREE, "phases": [f"p{n}" for n in range(51)]})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tiers": {"head": 100, "tail": 100}}, "brief.tiers.tail: 100 is not below head's 100"),
        ({"rules": [{"kind": "order", "of": "tier", "names": ["head", "mid", "head"]}]}, "'head' is there twice"),
    ],
)
def test_tiers_of_one_size_and_an_order_that_returns_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BriefError, match=says):
        creators.brief(**change)
