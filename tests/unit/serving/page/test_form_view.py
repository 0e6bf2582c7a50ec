"""The desk's forms as HTML: names are never code, links stay within the server, changes are told field by field."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from crossmix.ledger.campaigns import Campaign
from serving.page import form_view, forms
from tests.support.html_pages import Page

EVIL = "<script>alert(1)</script> & \"quoted\" 'name'"
PLATFORMS = ("search", EVIL)
ONE = Campaign(EVIL, "EUR", 100.0, {"search": 1.0}, {}, datetime(2026, 1, 5, tzinfo=UTC), 14, 24.0, timezone="UTC")


@pytest.mark.parametrize("action", list(form_view.TITLES))
@pytest.mark.parametrize("review", [None, [("share", EVIL, EVIL)]])
def test_a_name_is_never_code(action: str, review: list[tuple[str, str, str]] | None) -> None:
    values = {**forms.shown(ONE, PLATFORMS), "reason": EVIL, "was": EVIL}
    one = None if action == "new" else ONE
    text = form_view.render(action, one, PLATFORMS, values, token="t", sentence=f"share: {EVIL}", review=review)
    page = Page(text)
    assert "script" not in page.tags
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link in (action, "data:,") or link.startswith("../") for link in page.links), page.links
    assert "script" not in Page(form_view.refusal(EVIL)).tags


def test_what_changes_is_told_field_by_field() -> None:
    new = replace(ONE, cycle_budget=200.0, limits={"search": {"min": 0.1}})
    assert form_view.changes(ONE.planned(), new.planned()) == [
        ("cycle_budget", "100", "200"),
        ("limits.search.min", "none", "0.1"),
    ]
    assert ("starts", "none", "2026-01-05 00:00 UTC") in form_view.changes({}, ONE.planned())
    assert form_view.changes(ONE.planned(), ONE.planned()) == []
