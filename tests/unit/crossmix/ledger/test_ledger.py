"""The ledger's commands and questions: each change once; what files of before say, under the names of now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crossmix.ledger import audit, campaigns, experiments, feedback, pushes
from crossmix.ledger.campaigns import Campaign, Override, changing
from crossmix.ledger.experiments import VerdictError
from crossmix.ledger.feedback import Event, FeedbackState
from crossmix.ledger.pushes import Note, Progress
from crossmix.ledger.store import Store, StoreUrlError
from tests.support.experiments import START, make_store

NOW = START + timedelta(hours=9)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


def test_a_change_that_several_replicas_see_is_noted_once(store: Store) -> None:
    for subject in ("version 2", "version 2", "version 3", "version 2"):
        audit.note_once(store, "anna", "bundle.serve", subject, 1, 2, "better")
        audit.note(store, "bob", "override.lift", "brand", None, None)
    served = [entry.subject for entry in audit.trail(store) if entry.action == "bundle.serve"]
    assert served == ["version 2", "version 3", "version 2"]


def test_long_names_and_reasons_are_cut(store: Store) -> None:
    audit.note(store, "a" * 300, "x", "s", None, None, "r" * 2_000)
    entry = audit.trail(store)[0]
    assert (len(entry.actor), len(entry.reason)) == (audit.LONGEST_ACTOR, audit.LONGEST_REASON)
    with changing(store, "a" * 300, "r" * 2_000) as table:
        table.set_override(table.all()["brand"], "static", None)
    override = campaigns.load_all(store)["brand"].override
    assert override is not None
    assert (len(override.actor), len(override.reason)) == (audit.LONGEST_ACTOR, audit.LONGEST_REASON)
    assert campaigns.overridden(store) == ["brand"]


def test_a_push_is_noted_forwards_only_unless_it_takes_back(store: Store) -> None:
    assert pushes.all_newest(store) == {}
    for cycle in (3, 5, 4):
        pushes.note(store, [Note("brand", "policy", cycle, cycle)])
    pushes.note(store, [Note("brand", "control", 0, 0), Note("brand", "policy", 2, 7)])
    assert pushes.all_newest(store) == {("brand", "control"): 0, ("brand", "policy"): 5}
    pushes.note(store, [Note("brand", "policy", 2, 8, back=True), Note("brand", "control", 1, 1)])
    assert pushes.all_newest(store) == {("brand", "control"): 1, ("brand", "policy"): 2}
    pushes.note(store, [])


def test_progress_tells_what_moved_since_it_was_pushed(store: Store) -> None:
    one = Event("e1", "brand", "policy", "search", 0, 0, None, None, 10.0, 1.0, 0.0, 0.0, 2.5)
    feedback.insert(store, [one], NOW)
    never = Progress(FeedbackState(1, NOW, 0, 0), -1, -1)
    assert pushes.progress(store, moved=True) == pushes.progress(store) == {("brand", "policy"): never}
    pushes.note(store, [Note("brand", "policy", 0, 0)])
    assert pushes.progress(store, moved=True) == {}
    feedback.insert(store, [replace(one, event_id="e2", cycle=1, known=1)], NOW)
    assert pushes.progress(store, moved=True) == {}, "of the cycle that runs"
    feedback.insert(store, [replace(one, event_id="e3", cycle=0, known=1)], NOW)
    late = Progress(FeedbackState(3, NOW, 1, 1), 0, 0)
    assert pushes.progress(store, moved=True) == pushes.progress(store) == {("brand", "policy"): late}


def test_an_experiment_begins_once_and_ends_once(store: Store) -> None:
    weights = {"policy": 0.5, "control": 0.5}
    begun = experiments.begin(store, experiments.Plan("second", "pepper", weights, 10, 0.1), "anna")
    assert (begun.salt, begun.weights, begun.days, begun.level, begun.ended) == ("pepper", weights, 10, 0.1, None)
    again = experiments.first(store, experiments.Plan("third", "other", {"policy": 1.0}, 3, 0.5), "crossmix serve")
    assert [one.id for one in again] == ["first", "second"], "there were some"
    assert again[-1] == begun, "as it began"
    assert experiments.newest(store) == "second"
    revision = store.revision()
    assert experiments.end(store, "second", "a holiday", "anna", version=4)
    assert not experiments.end(store, "second", "again", "bob")
    assert store.revision() > revision
    ended = experiments.get(store, "second")
    assert (ended.reason, ended.ended_by) == ("a holiday", "anna")
    entries = [entry for entry in audit.trail(store, "second") if entry.action == experiments.END]
    assert [(entry.actor, entry.after["version"]) for entry in entries] == [("anna", 4)]
    assert experiments.awaiting_rollback(store, "second") is None, "no guardrail ended it"
    with pytest.raises(VerdictError, match=r"^reason: it is empty; say why the experiment ends$"):
        experiments.end(store, "first", "", "anna")


def test_budgets_before_each_edit(store: Store) -> None:
    times = [datetime.now(UTC)]
    for budget in (1_100.0, 1_300.0):
        with changing(store, "anna", "") as table:
            old = table.all()["brand"]
            table.edit(old, Campaign.from_dict({**old.as_dict(), "cycle_budget": budget}))
        times.append(datetime.now(UTC))
    with changing(store, "anna", "") as table:
        old = table.all()["brand"]
        table.edit(old, Campaign.from_dict({**old.as_dict(), "cycles": 70}))
    edits = campaigns.budgets_before(store, "brand")
    assert [budget for _, budget in edits] == [1_100.0, 1_000.0]
    assert times[1] <= edits[0][0] <= times[2]
    assert times[0] <= edits[1][0] <= times[1]


def test_a_campaign_is_read_back_also_under_the_names_of_before(store: Store) -> None:
    with changing(store, "anna", "odd split") as table:
        campaign = table.set_override(table.all()["brand"], "given", {"search": 1.0, "social": 0.0})
    plain = campaign.as_dict()
    assert Campaign.from_dict(plain) == campaign
    override = plain["override"]
    plain["override"] = {"kind": "static", "share": None, "who": "bob", "why": "stop", "at": override["at"]}
    assert Campaign.from_dict(plain).override == Override(
        "static", None, "bob", "stop", datetime.fromisoformat(override["at"])
    )


def test_clocks_count_from_the_start(store: Store) -> None:
    campaign = campaigns.load_all(store)["brand"]
    assert campaign.starts == START - timedelta(days=3)
    assert campaign.cycle(campaign.ends(2)) == 3
    assert campaign.cycle(campaign.starts - timedelta(seconds=1)) == -1


def test_reading_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUrlError, match=r"there is no such file; the server's is serving.db in its folder"):
        Store.existing(f"sqlite:///{tmp_path / 'none' / 'serving.db'}")
    assert not (tmp_path / "none").exists()
    with pytest.raises(StoreUrlError, match=r"give a URL, as sqlite:///folder/serving.db"):
        Store.existing("nonsense")
