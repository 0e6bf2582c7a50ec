"""What a form sends as what the campaign's functions take, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from crossmix.ledger.campaigns import Campaign
from serving.campaigns import service
from serving.fields import CampaignError
from serving.page import forms

PLATFORMS = ("search", "paid.social")
ONE = Campaign(
    "spring",
    "EUR",
    1_000.5,
    {"search": 0.6, "paid.social": 0.4},
    {"search": {"min": 0.1, "freeze": True}},
    datetime(2026, 3, 1, 23, tzinfo=UTC),
    14,
    24.0,
    timezone="Europe/Berlin",
)


def test_a_campaign_goes_through_its_form_unchanged() -> None:
    values = forms.shown(ONE, PLATFORMS)
    assert values["starts"] == "2026-03-02T00:00"
    assert service.validate(forms.raw(values, PLATFORMS), PLATFORMS) == ONE
    assert forms.changes(values, values, PLATFORMS) == {}
    assert forms.restored(forms.snapshot(values)) == values
    rolling = replace(ONE, timezone=None, cycle_hours=1.5)
    values = forms.shown(rolling, PLATFORMS)
    assert service.validate(forms.raw(values, PLATFORMS), PLATFORMS) == rolling


@pytest.mark.parametrize(
    ("field", "text", "change"),
    [
        ("cycle_budget", "2000", {"cycle_budget": 2_000.0}),
        ("cycles", "20", {"cycles": 20}),
        ("cycles", "2.5", {"cycles": "2.5"}),
        ("starts", "2026-03-03T10:00", {"starts": "2026-03-03T10:00:00+01:00"}),
        ("starts", "2026-03-03T10:00Z", {"starts": "2026-03-03T10:00:00+00:00"}),
        ("timezone", "", {"timezone": None, "starts": "2026-03-02T00:00:00+00:00"}),
        ("share.search", "0.5", {"share": {"search": 0.5, "paid.social": 0.4}}),
        ("limits.search.min", "", {"limits": {"search": {"min": None}}}),
        ("limits.paid.social.max", "0.5", {"limits": {"paid.social": {"max": 0.5}}}),
        ("limits.search.freeze", "", {"limits": {"search": {"freeze": None}}}),
        ("reason", "why", {}),
    ],
)
def test_an_edit_is_what_differs(field: str, text: str, change: dict[str, object]) -> None:
    before = forms.shown(ONE, PLATFORMS)
    assert forms.changes({**before, field: text}, before, PLATFORMS) == change


def test_a_form_that_is_none_is_refused() -> None:
    assert forms.parse(b"a=1&b=%C3%A9&a=2&c=") == {"a": "2", "b": "é", "c": ""}
    for body in (b"a=%ff", b"\xff", b"&".join(b"a=1" for _ in range(1_001))):
        with pytest.raises(CampaignError, match="form: it cannot be read"):
            forms.parse(body)
    for text in ("", "[", "[1]", '{"a": 1}', "[" * 100_000):
        with pytest.raises(CampaignError, match="form: it was cut on its way"):
            forms.restored(text)


@pytest.mark.parametrize(
    ("sentence", "field"),
    [
        ("cycle_budget: -1.0; give an amount above 0", "cycle_budget"),
        ("share: the shares sum to 0.9; make them sum to 1", "share"),
        ("share.paid.social: 2.0; give a share from 0 to 1", "share.paid.social"),
        ("limits.search.min: 'x'; give a share", "limits.search.min"),
        ("limits: floors sum to 1.2; lower one", "limits"),
        ("cycles: 1,000 of 24 hours end after 2200; give fewer", "cycles"),
        ("database: away", None),
    ],
)
def test_a_refusal_stands_beside_its_field(sentence: str, field: str | None) -> None:
    assert forms.field_of(sentence, ["share.search", "share.paid.social", "limits.search.min"]) == field
