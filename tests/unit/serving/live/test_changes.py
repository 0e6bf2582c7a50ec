"""A change of one campaign among many: what is read of the database, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crossmix.ledger import audit
from crossmix.ledger.campaigns import Campaign, changing, load_all
from crossmix.ledger.pushes import Note, note
from crossmix.ledger.store import Store
from serving.campaigns import service
from serving.live import changes
from serving.live.changes import Changes
from serving.live.due import SLICE, Due
from tests.support.counted import counted
from tests.support.serving_live import PLATFORMS, START, raw

MANY = 120


def _named(number: int) -> str:
    return f"c{number:03d}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'serving.db'}")
    with changing(made, "test", "") as table:
        table.add_all([Campaign.from_dict({**raw(_named(n)), "timezone": "UTC"}) for n in range(MANY)])
    yield made
    made.close()


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Store]:
    """One of five campaigns."""
    made = Store(f"sqlite:///{tmp_path / 'few.db'}")
    with changing(made, "test", "") as table:
        table.add_all([Campaign.from_dict({**raw(_named(n)), "timezone": "UTC"}) for n in range(5)])
    yield made
    made.close()


Change = Callable[[Store], Any]
CHANGES: dict[str, Change] = {
    "create": lambda store: service.create(store, raw("a new one"), PLATFORMS, "ann"),
    "edit": lambda store: service.edit(store, _named(3), {"cycle_budget": 5.0}, PLATFORMS, "ann"),
    "pause": lambda store: service.pause(store, _named(3), "ann"),
    "resume": lambda store: service.resume(store, _named(3), "ann"),
    "kill switch": lambda store: service.set_override(store, _named(3), "static", None, PLATFORMS, "ann"),
    "lift": lambda store: service.lift(store, _named(3), "ann"),
    "import": lambda store: service.import_(store, [raw("x"), raw("y")], "ann", PLATFORMS),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_asks_as_much_of_the_database_with_many_campaigns_as_with_few(
    store: Store, few: Store, name: str
) -> None:
    counts = []
    for one in (few, store):
        with counted(one) as count:
            CHANGES[name](one)
        counts.append((len(count.statements), count.campaigns))
    assert counts[0] == counts[1]
    assert counts[1][1] <= 1


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("resume", "lift")])
def test_only_what_changed_is_read_again(store: Store, name: str) -> None:
    reader = Changes()
    known = reader.read(store, None)
    reader.taken()
    CHANGES[name](store)
    with counted(store) as count:
        fresh = reader.read(store, known)
    reader.taken()
    assert (len(count.statements), count.campaigns) == (3, 2 if name == "import" else 1)
    assert fresh == load_all(store)
    assert list(fresh) == sorted(fresh)
    assert sum(fresh[one] is not known.get(one) for one in fresh) == count.campaigns
    with counted(store) as count:
        assert reader.read(store, fresh) is fresh
    assert (len(count.statements), count.campaigns) == (1, 0)


def test_what_was_read_and_not_taken_is_read_again(store: Store) -> None:
    reader = Changes()
    known = reader.read(store, None)
    reader.taken()
    service.pause(store, _named(3), "ann")
    for _ in range(2):  # between the two the database went away
        assert reader.read(store, known)[_named(3)].paused
    reader.taken()
    assert reader.read(store, known) is known


def test_entries_of_other_things_change_no_campaign(store: Store) -> None:
    reader = Changes()
    known = reader.read(store, None)
    reader.taken()
    audit.note(store, "registry", "bundle.serve", _named(1), 1, 2)
    with counted(store) as count:
        assert reader.read(store, known) is known
    assert count.campaigns == 0


def test_a_trail_that_goes_back_is_another_databases(store: Store, few: Store) -> None:
    reader = Changes()
    known = reader.read(store, None)
    reader.taken()
    assert reader.read(few, known) == load_all(few)


def test_many_changes_are_read_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST", 10)
    reader = Changes()
    known = reader.read(store, None)
    reader.taken()
    for number in range(11):
        service.pause(store, _named(number), "ann")
    fresh = reader.read(store, known)
    assert [one.campaign_id for one in fresh.values() if one.paused] == [_named(n) for n in range(11)]


def test_an_unknown_campaign_is_told_the_first_of_those_there_are(store: Store) -> None:
    named = ", ".join(_named(n) for n in range(20))
    for ask in (lambda: service.get(store, "none"), lambda: service.pause(store, "none", "ann")):
        with counted(store) as count, pytest.raises(service.UnknownCampaignError) as caught:
            ask()
        assert str(caught.value) == f"campaign_id: 'none' is unknown; known: {named}"
        assert count.campaigns == 0


# ---- statistics ------------------------------------------------------------------------------------------------------


def _due(store: Store) -> tuple[Due, dict[str, Campaign]]:
    """One that has read everything."""
    one, campaigns = Due(), load_all(store)
    one.look(store)
    assert one.names(campaigns) == sorted(campaigns)
    one.done(campaigns)
    return one, campaigns


def test_without_a_push_a_round_reads_a_slice_by_turns(store: Store) -> None:
    one, campaigns = _due(store)
    turns: list[str] = []
    for _ in range(-(-MANY // SLICE)):
        with counted(store) as count:
            one.look(store)
        assert len(count.statements) == 2
        names = one.names(campaigns)
        assert len(names) <= SLICE
        one.done(names)
        turns += names
    assert sorted(turns) == sorted(campaigns)


def _beyond(one: Due, campaigns: dict[str, Campaign], turn: int) -> list[str]:
    """What a round reads beside its slice."""
    names = one.names(campaigns)
    one.done(names)
    return sorted(set(names) - {_named(n) for n in range(turn * SLICE, (turn + 1) * SLICE)})


def test_what_was_pushed_is_read_and_so_is_a_push_that_moves_nothing_else(store: Store) -> None:
    one, campaigns = _due(store)
    for turn, number in ((1, 3), (2, 3)):
        note(store, [Note(_named(100), "policy", 4, number)])
        one.look(store)
        assert one.cycles == {(_named(100), "policy"): 4}
        assert _beyond(one, campaigns, turn) == [_named(100)]
    one.look(store)
    assert _beyond(one, campaigns, 3) == []


def test_a_changed_campaign_and_one_in_doubt_are_read(store: Store) -> None:
    one, campaigns = _due(store)
    changed = dict(load_all(store)) | campaigns
    service.edit(store, _named(110), {"starts": (START - timedelta(days=1)).isoformat()}, PLATFORMS, "ann")
    changed[_named(110)] = service.get(store, _named(110))
    assert set(one.names(changed, [_named(90)])) >= {_named(90), _named(110)}
    one.done([_named(90), _named(110)])
    assert not {_named(90), _named(110)} & set(one.names(changed))


def test_what_was_not_read_stays_wanted(store: Store) -> None:
    one, campaigns = _due(store)
    note(store, [Note(_named(100), "policy", 4, 3)])
    one.look(store)
    for _ in range(3):  # the feature store is away
        assert _named(100) in one.names(campaigns)
    one.done([_named(100)])
    assert _named(100) not in one.names(campaigns)


def test_of_another_database_everything_is_read(store: Store, few: Store) -> None:
    one, campaigns = _due(store)
    assert len(one.names(campaigns)) == SLICE
    one.look(few)
    assert one.names(campaigns) == sorted(campaigns)
