"""Campaigns and overrides: what is refused, what is kept, and that nobody changes anything without a trace."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crossmix.bundle import Plan
from crossmix.constraints import Limits
from crossmix.ledger import audit
from crossmix.ledger.campaigns import FIELDS, FREE, Campaign, load_all
from crossmix.ledger.store import Store, StoreAwayError
from serving.assignment.users import hashed
from serving.campaigns import service as campaigns
from serving.campaigns.schema import Bounds, Edit, NewCampaign
from serving.campaigns.service import CampaignError, CampaignExistsError, UnknownCampaignError
from serving.feedback import events as feedback
from tests.support.serving_live import PLATFORMS, START, FakeLive, event, raw


def test_a_campaign_comes_back_as_it_was_written(store: Store) -> None:
    made = campaigns.create(store, raw(), PLATFORMS, "ann", "spring sale")
    assert load_all(store) == {"spring": made}
    assert Campaign.from_dict(made.as_dict()) == made
    assert made.starts == START
    assert made.limits == {"search": {"min": 0.1, "max": 0.6}, "video": {"freeze": True}}


def test_what_may_be_sent_is_what_is_kept() -> None:
    assert tuple(NewCampaign.model_fields) == FIELDS
    assert ("campaign_id", *Edit.model_fields) == FIELDS
    assert Bounds().model_dump() == FREE


def test_cycles_are_counted_from_the_start() -> None:
    campaign = campaigns.validate(raw(cycle_hours=1 / 3), PLATFORMS)
    assert campaign.cycle(START - timedelta(microseconds=1)) == -1
    assert campaign.cycle(START) == 0
    assert campaign.cycle(START + timedelta(minutes=20) - timedelta(microseconds=1)) == 0
    assert campaign.cycle(START + timedelta(minutes=20)) == 1
    assert campaign.cycle(START + 14 * timedelta(minutes=20)) == campaign.cycles
    assert all(campaign.cycle(campaign.ends(cycle)) == cycle + 1 for cycle in range(100_000))


def test_limits_become_a_box_in_slot_order() -> None:
    limits = {"video": {"max": 0.25, "step": 0.05}, "search": {"min": 0.1, "freeze": True}}
    box = campaigns.validate(raw(limits=limits), PLATFORMS).box(("video", "search", "social"))
    assert box.minimum_P.tolist() == pytest.approx([0, 0.1, 0])
    assert box.maximum_P.tolist() == pytest.approx([0.25, 1, 1])
    assert box.step_P.tolist() == pytest.approx([0.05, 1, 1])
    assert box.freeze_P.tolist() == [False, True, False]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"campaign_id": ""}, r"campaign_id: ''; give 1 to 200 printable characters"),
    ({"campaign_id": "x" * 201}, r"campaign_id: 'xxx.*; give 1 to 200"),
    ({"campaign_id": "a\nb"}, r"campaign_id: 'a\\nb'; give"),
    ({"campaign_id": "a\ud800"}, r"campaign_id: 'a\\ud800'; give"),
    ({"campaign_id": ".."}, r"campaign_id: '\.\.'; give a name"),
    ({"campaign_id": 7}, r"campaign_id: 7; give"),
    ({"currency": "eur"}, r"currency: 'eur'; give three capital letters, as EUR"),
    ({"currency": "EURO"}, r"currency: 'EURO'; give three capital letters"),
    ({"currency": None}, r"currency: missing; give three capital letters, as EUR"),
    ({"cycle_budget": 0}, r"cycle_budget: 0; give an amount above 0, or pause"),
    ({"cycle_budget": -5}, r"cycle_budget: -5; give an amount"),
    ({"cycle_budget": float("nan")}, r"cycle_budget: nan; give an amount"),
    ({"cycle_budget": True}, r"cycle_budget: True; give an amount"),
    ({"cycle_budget": 10**400}, r"cycle_budget: a number too large; give an amount"),
    ({"cycle_budget": "12"}, r"cycle_budget: '12'; give an amount"),
    ({"share": [0.5, 0.5]}, r"share: an array; give a share by platform"),
    ({"share": {"search": 0.5, "social": 0.499}}, r"share: the shares sum to 0.999; make them sum to 1"),
    ({"share": {"search": 1.5, "social": -0.5}}, r"share.search: 1.5; give a share from 0 to 1"),
    ({"share": {"radio": 1.0}}, r"share: platform 'radio' is unknown; use search, social, video"),
    ({"limits": {"radio": {"min": 0}}}, r"limits: platform 'radio' is unknown; use search"),
    ({"limits": {"search": {"most": 0.5}}}, r"limits.search: 'most' is unknown; use min, max, step, freeze"),
    ({"limits": {"search": {"max": 2}}}, r"limits.search.max: 2; give a share of the cycle budget"),
    ({"limits": {"search": {"freeze": 1}}}, r"limits.search.freeze: 1; give true or false"),
    ({"limits": {"search": {"min": 0.6, "max": 0.5}}}, r"min 0.6 of search is above its max 0.5; lower"),
    ({"limits": {name: {"min": 0.4} for name in PLATFORMS}}, r"the mins sum to 1.2, above 1; lower one"),
    ({"limits": {name: {"max": 0.3} for name in PLATFORMS}}, r"the maxes sum to 0.9, below 1; raise one"),
    ({"limits": {"search": 0.5}}, r"limits.search: 0.5; give an object of min, max, step, freeze"),
    ({"starts": "soon"}, r"starts: 'soon'; give a time, as 2026-01-01T00:00:00Z"),
    ({"starts": "2026-01-01T00:00:00"}, r"starts: '2026-01-01T00:00:00' has no zone; add Z"),
    ({"starts": "1970-01-01T00:00:00Z"}, r"starts: '1970-01-01T00:00:00Z'; give a time from 2000 to 2200"),
    ({"cycles": 0}, r"cycles: 0; give a whole number from 1"),
    ({"cycles": 2.5}, r"cycles: 2.5; give a whole number"),
    ({"cycles": 1_000_000, "cycle_hours": 24}, r"cycles: 1,000,000 of 24 hours end after 2200; give fewer"),
    ({"cycle_hours": 0}, r"cycle_hours: 0; give hours, a second at least"),
    ({"cycle_hours": float("inf")}, r"cycle_hours: inf; give hours"),
    ({"colour": "red"}, r"colour: unknown field; use campaign_id, currency"),
    ({"paused": True}, r"paused: unknown field; pause or resume it"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_refused_names_field_value_and_remedy(store: Store, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CampaignError, match=message):
        campaigns.create(store, raw(**changes), PLATFORMS, "ann")
    assert load_all(store) == {}
    assert audit.trail(store) == []


def test_shares_may_miss_one_by_a_millionth(store: Store) -> None:
    campaigns.create(store, raw("a", share={"search": 0.5, "social": 0.5 + 9e-7}), PLATFORMS, "ann")
    with pytest.raises(CampaignError, match=r"sum to 1.000002; make"):
        campaigns.create(store, raw("b", share={"search": 0.5, "social": 0.5 + 2e-6}), PLATFORMS, "ann")


def test_an_edit_changes_what_it_names_and_says_so(store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    limits = {"search": {"min": None, "step": 0.1}, "video": None}
    made = campaigns.edit(store, "spring", {"cycle_budget": 2_000, "limits": limits}, PLATFORMS, "bob", "more money")
    assert made.cycle_budget == 2_000
    assert made.limits == {"search": {"max": 0.6, "step": 0.1}}
    assert made.share == raw()["share"]
    assert campaigns.get(store, "spring") == made
    entry = audit.trail(store)[0]
    assert (entry.actor, entry.action, entry.subject, entry.reason) == ("bob", "campaign.edit", "spring", "more money")
    assert entry.before == {"cycle_budget": 1_000, "limits": raw()["limits"]}
    assert entry.after == {"cycle_budget": 2_000, "limits": made.limits}
    assert abs(entry.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_edit_that_changes_nothing_leaves_no_trace(store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    campaigns.edit(store, "spring", {"cycle_budget": 1_000}, PLATFORMS, "bob")
    assert [entry.action for entry in audit.trail(store)] == ["campaign.create"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "edit: an object; send an object of the fields to change"),
        ({"campaign_id": "other"}, "campaign_id: a name cannot be changed"),
        ({"colour": "red"}, "colour: unknown field"),
        ({"limits": {"search": {"min": 0.7}}}, "min 0.7 of search is above its max 0.6"),
        ({"share": {"search": 1.0}, "cycle_budget": -1}, "cycle_budget: -1"),
        ({"currency": None}, "currency: missing"),
    ],
)
def test_a_bad_edit_changes_nothing(store: Store, changes: dict[str, Any], message: str) -> None:
    made = campaigns.create(store, raw(), PLATFORMS, "ann")
    with pytest.raises(CampaignError, match=message):
        campaigns.edit(store, "spring", changes, PLATFORMS, "bob")
    assert campaigns.get(store, "spring") == made


def test_what_feedback_counts_in_stays(store: Store, live: FakeLive) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    campaigns.edit(store, "spring", {"currency": "USD"}, PLATFORMS, "ann")
    live.reload()
    events = feedback.check([event("e")], live.campaigns, PLATFORMS, live.experiment, live.now)
    feedback.ingest(store, events, live.now)
    for field, value in (("currency", "GBP"), ("cycle_hours", 12), ("starts", "2026-01-06T00:00:00Z")):
        with pytest.raises(CampaignExistsError, match=f"{field}: 'spring' has feedback.*create another campaign"):
            campaigns.edit(store, "spring", {field: value}, PLATFORMS, "ann")
    assert campaigns.edit(store, "spring", {"cycles": 20}, PLATFORMS, "ann").cycles == 20


def test_an_import_is_all_or_nothing_and_names_every_bad_row(store: Store) -> None:
    campaigns.create(store, raw("there"), PLATFORMS, "ann")
    rows = [raw("a"), raw("b", currency="x"), raw("there"), raw("a"), raw("c", cycles=0)]
    with pytest.raises(CampaignError) as caught:
        campaigns.import_(store, rows, "ann", PLATFORMS)
    told = str(caught.value)
    assert told.startswith("import: 4 of 5 rows cannot be used, nothing was kept: row 2: currency: 'x'; give")
    assert "row 3: campaign_id: 'there' is there already" in told
    assert "row 4: campaign_id: 'a' is row 1 too" in told
    assert "row 5: cycles: 0" in told
    assert set(load_all(store)) == {"there"}
    revision = store.revision()
    assert [row.campaign_id for row in campaigns.import_(store, [raw("a"), raw("c")], "ann", PLATFORMS)] == ["a", "c"]
    assert store.revision() == revision + 1
    assert [entry.subject for entry in audit.trail(store)] == ["c", "a", "there"]
    assert campaigns.import_(store, [raw("a", cycles=3), raw("d")], "x", PLATFORMS, keep=True)[0].campaign_id == "d"
    assert campaigns.get(store, "a").cycles == 14


def test_pause_and_resume(store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    assert campaigns.pause(store, "spring", "bob", "stock is out").paused
    assert campaigns.pause(store, "spring", "bob").paused
    assert campaigns.edit(store, "spring", {"cycles": 3}, PLATFORMS, "bob").paused
    assert campaigns.get(store, "spring").paused
    assert not campaigns.resume(store, "spring", "bob").paused
    actions = [entry.action for entry in audit.trail(store, "spring")]
    assert actions == ["campaign.resume", "campaign.edit", "campaign.pause", "campaign.create"]


def test_the_kill_switch_and_a_given_split(store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    assert campaigns.set_override(store, "spring", "static", None, PLATFORMS, "bob", "odd split").override
    found = campaigns.get(store, "spring").override
    assert found is not None
    assert (found.kind, found.share, found.actor, found.reason) == ("static", None, "bob", "odd split")
    campaigns.set_override(store, "spring", "given", {"video": 1}, PLATFORMS, "cy")
    found = campaigns.get(store, "spring").override
    assert found is not None
    assert (found.kind, found.share) == ("given", {"search": 0, "social": 0, "video": 1})
    campaigns.lift(store, "spring", "bob")
    assert campaigns.get(store, "spring").override is None
    told = [(entry.action, entry.before, entry.after) for entry in audit.trail(store)]
    static, given = {"kind": "static", "share": None}, {"kind": "given", "share": found.share}
    assert told[:3] == [("override.lift", given, None), ("override.set", static, given), ("override.set", None, static)]
    campaigns.lift(store, "spring", "bob")
    assert len(audit.trail(store)) == 4


@pytest.mark.parametrize(
    ("kind", "share", "message"),
    [
        ("off", None, "kind: 'off'; use static"),
        (None, None, "kind: missing; use static"),
        ("static", {"search": 1}, "share: the static split is the campaign's own"),
        ("given", None, "share: missing; give a share by platform"),
        ("given", {"search": 0.5}, "share: the shares sum to 0.5; make them sum to 1"),
        ("given", {"radio": 1}, "share: platform 'radio' is unknown"),
        ("given", {"search": float("nan")}, "share.search: nan; give a share"),
    ],
)
def test_a_bad_override_is_refused(store: Store, kind: Any, share: Any, message: str) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    with pytest.raises(CampaignError, match=message):
        campaigns.set_override(store, "spring", kind, share, PLATFORMS, "bob")
    assert campaigns.get(store, "spring").override is None


def test_an_unknown_campaign_is_told_with_the_known_ones(store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    for change in (campaigns.pause, campaigns.resume, campaigns.lift):
        with pytest.raises(UnknownCampaignError, match="campaign_id: 'autumn' is unknown; known: spring"):
            change(store, "autumn", "bob")


def test_a_change_and_its_audit_stand_or_fall_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    revision = store.revision()

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("crossmix.ledger.campaigns.record", broken)
    for change in (
        lambda: campaigns.create(store, raw("b"), PLATFORMS, "x"),
        lambda: campaigns.edit(store, "spring", {"cycles": 2}, PLATFORMS, "x"),
        lambda: campaigns.pause(store, "spring", "x"),
        lambda: campaigns.set_override(store, "spring", "static", None, PLATFORMS, "x"),
    ):
        with pytest.raises(StoreAwayError, match="disk full"):
            change()
    kept = load_all(store)
    assert list(kept) == ["spring"]
    assert (kept["spring"].cycles, kept["spring"].paused, kept["spring"].override) == (14, False, None)
    assert store.revision() == revision


def test_edits_at_the_same_time_are_all_kept(store: Store) -> None:
    campaigns.create(store, raw(limits={}), PLATFORMS, "ann")

    def change(platform: str) -> None:
        campaigns.edit(store, "spring", {"limits": {platform: {"max": 0.9}}}, PLATFORMS, platform)

    threads = [threading.Thread(target=change, args=(name,)) for name in PLATFORMS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert campaigns.get(store, "spring").limits == {name: {"max": 0.9} for name in PLATFORMS}


def test_campaigns_of_a_bundle() -> None:
    minimum_P, maximum_P, step_P = (np.array(row, "f4") for row in ([0.1, 0], [1, 0.7], [1, 0.05]))
    bounds = Limits(minimum_P, maximum_P, np.array([False, True]), step_P)
    bundle: Any = SimpleNamespace(
        platforms=("search", "social"),
        plans={"spring": Plan(500.0, "EUR", (1.5, 0.5), 12.0)},
        limits={"spring": bounds},
        ended={},
    )
    (made,) = campaigns.from_bundle(bundle, START, 20)
    assert made.share == {"search": 0.75, "social": 0.25}
    assert made.limits == {"search": {"min": 0.1}, "social": {"max": 0.7, "step": 0.05, "freeze": True}}
    assert (made.cycle_budget, made.currency, made.cycles, made.cycle_hours) == (500, "EUR", 20, 12)
    again = campaigns.validate({key: made.as_dict()[key] for key in raw()}, bundle.platforms)
    assert again == made
    bundle.ended = {"spring": "2025-08-09"}
    assert campaigns.from_bundle(bundle, START, 20) == [replace(made, paused=True)]


def test_a_generated_currency_may_stay_but_not_come(store: Store) -> None:
    made = replace(campaigns.validate(raw(), PLATFORMS), currency="demo credits")
    campaigns.import_(store, [made], "ann", PLATFORMS)
    assert campaigns.edit(store, "spring", {"cycles": 3}, PLATFORMS, "ann").currency == "demo credits"
    assert campaigns.edit(store, "spring", {"currency": "EUR"}, PLATFORMS, "ann").currency == "EUR"
    with pytest.raises(CampaignError, match="currency: 'demo credits'; give three"):
        campaigns.edit(store, "spring", {"currency": "demo credits"}, PLATFORMS, "ann")


def test_a_user_is_known_by_a_keyed_hash_only() -> None:
    assert hashed("u1", "salt") == hashed("u1", "salt")
    assert len({hashed(user, salt) for user in ("u1", "u2") for salt in ("s1", "s2")}) == 4
    assert len(hashed("u" * 1_000, "s" * 1_000)) == 32
    int(hashed("u1", ""), 16)


def test_a_campaign_kept_by_an_earlier_version_is_read(store: Store) -> None:
    campaigns.create(store, raw(), PLATFORMS, "ann")
    made = campaigns.set_override(store, "spring", "static", None, PLATFORMS, "bob", "odd split")
    kept = made.as_dict()
    override = kept["override"]
    old = {"who": override.pop("actor"), "why": override.pop("reason"), **override}
    assert Campaign.from_dict({**kept, "override": old}) == made
