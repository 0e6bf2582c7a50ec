"""Served splits joined with their outcomes: which row stands for a cycle, what it earned, what can be learned from."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.ledger import delivery, tables
from crossmix.ledger.served import ServedError, last_splits, last_states_of, read
from crossmix.ledger.store import Store
from tests.support.experiments import DAY, START, deliver, event, make_store

PLATFORMS = ("search", "social")
BEGIN = START - 3 * DAY
"""Of cycle 0 of the campaigns that `make_store` adds."""


def _split(cycle: int, **given: Any) -> dict[str, Any]:
    """An explored split of `brand`'s policy arm, served at the cycle's start."""
    state = np.full(640, cycle, "<f4")
    row = {
        "allocation_id": f"{cycle}",
        "at": BEGIN + cycle * DAY,
        "campaign_id": "brand",
        "arm": "policy",
        "cycle": cycle,
        "bundle": "b1",
        "budget": 700.0,
        "share": {"search": 0.25, "social": 0.75},
        "state": state.tobytes(),
        "logits": [0.5, -0.5 + cycle],
        "log_density": -1.25,
        "override": None,
    }
    return row | given


def _serve(store: Store, *rows: dict[str, Any]) -> None:
    with store.write() as connection:
        connection.execute(tables.served.insert(), list(rows))


def _event(cycle: int, **given: Any) -> dict[str, Any]:
    return event("policy", cycle - 3, **given)


def test_a_row_has_its_state_its_split_and_its_outcome(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    _serve(store, _split(0), _split(1), _split(2))
    deliver(
        store,
        [
            _event(0, impressions=1_000, clicks=50, conversions=5, revenue=1_400, spend=600),
            _event(0, platform="social", impressions=600, clicks=30, conversions=3, revenue=700, spend=90),
            # Told while cycle 2 ran, it counts in the cycle of its impression.
            _event(0, known=2, impressions=0, clicks=0, conversions=2, revenue=70, spend=0),
            _event(2, impressions=10, clicks=0, conversions=0, revenue=0, spend=1),
        ],
    )
    log = read(store, PLATFORMS, BEGIN + 2 * DAY + timedelta(hours=23))
    assert len(log) == 2, "cycle 2 still runs"
    assert (log.platforms, log.campaigns) == (PLATFORMS, ("brand",))
    assert log.cycle_N.tolist() == [0, 1]
    assert log.campaign_N.tolist() == [0, 0]
    assert log.arm_N.tolist() == ["policy", "policy"]
    assert log.bundle_N.tolist() == ["b1", "b1"]
    assert log.state_NS.dtype == np.float32
    assert (log.state_NS == np.repeat([[0.0], [1.0]], 640, 1)).all()
    assert log.logits_NP.tolist() == [[0.5, -0.5], [0.5, 0.5]]
    assert log.log_density_N.tolist() == [-1.25, -1.25]
    assert log.share_NP.tolist() == [[0.25, 0.75]] * 2
    assert log.budget_N.tolist() == [700.0, 700.0]
    assert log.reported_N.tolist() == [True, False]
    assert log.total_N("revenue").tolist() == [2_170.0, 0.0]
    assert log.roi_N.tolist() == [2_170 / 700, 0.0]
    assert log.ctr_N.tolist() == [80 / 1_600, 0.0]
    assert log.cvr_N.tolist() == [10 / 80, 0.0]
    assert log.outcome_NPQ[0, 1].tolist() == [90.0, 600.0, 30.0, 3.0, 700.0]
    assert log.learnable().cycle_N.tolist() == [0], "nothing is known of what cycle 1 earned"


def test_of_several_splits_in_a_cycle_the_last_stands_for_the_part_that_it_was_in_force(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    minute = timedelta(minutes=1)
    _serve(
        store,
        _split(0, allocation_id="z"),
        _split(0, allocation_id="a", at=BEGIN + 72 * minute, share={"search": 0.5, "social": 0.5}),
        _split(1, allocation_id="y", at=BEGIN + DAY + 600 * minute),
        _split(2, allocation_id="x", bundle="b2"),
        _split(2, allocation_id="w", at=BEGIN + 2 * DAY + 720 * minute),
    )
    deliver(store, [_event(cycle) for cycle in range(3)])
    log = read(store, PLATFORMS, BEGIN + 3 * DAY)
    assert log.share_NP[0].tolist() == [0.5, 0.5]
    assert log.in_force_N.tolist() == [0.95, 1.0, 0.5]
    assert log.learnable().cycle_N.tolist() == [0, 1]
    assert log.learnable(longest_prefix=0.01).cycle_N.tolist() == [1]


def test_of_splits_served_at_the_same_moment_every_reader_takes_the_same_one(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    shares = {name: {"search": part, "social": 1 - part} for name, part in (("b", 0.5), ("c", 0.75), ("a", 0.25))}
    _serve(store, *(_split(0, allocation_id=name, share=share) for name, share in shares.items()))
    row = read(store, PLATFORMS, BEGIN + DAY)
    assert row.share_NP.tolist() == [[0.75, 0.25]]
    assert last_splits(store, "brand", "policy", PLATFORMS)[0].share_P.tolist() == [0.75, 0.25]


def test_what_a_cycle_was_told_before_a_pause_stands(tmp_path: Path) -> None:
    """At noon it is paused, and asked: what the morning was told may be spent. A day of pause was told nothing."""
    store, hour = make_store(tmp_path), timedelta(hours=1)
    _serve(
        store,
        _split(0, allocation_id="a", budget=80.0),
        _split(0, allocation_id="b", budget=70.0, at=BEGIN + 9 * hour),
        _split(0, allocation_id="c", budget=0.0, at=BEGIN + 12 * hour),
        _split(1, allocation_id="d", budget=0.0),
    )
    told = last_splits(store, "brand", "policy", PLATFORMS)
    assert {cycle: split.budget for cycle, split in told.items()} == {0: 70.0, 1: 0.0}
    shown = delivery.splits(store, {"brand": (0, 1)})["brand"]
    assert {cycle: split.budget for (_, cycle), split in shown.items()} == {0: 70.0, 1: 0.0}


def test_a_split_is_in_force_for_no_more_than_its_cycle(tmp_path: Path) -> None:
    """A clock that was behind served cycle 0 before it began, and asked for cycle 1 after its end."""
    store, hour = make_store(tmp_path), timedelta(hours=1)
    _serve(
        store,
        _split(0, allocation_id="a", at=BEGIN - 2 * hour),
        _split(0, allocation_id="b", at=BEGIN - hour),
        _split(1, allocation_id="c", at=BEGIN + DAY),
        _split(1, allocation_id="d", at=BEGIN + 2 * DAY + hour),
    )
    assert read(store, PLATFORMS, BEGIN + 3 * DAY).in_force_N.tolist() == [1.0, 0.0]


def test_static_splits_have_no_state_and_are_not_learned_from(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    unsampled: dict[str, Any] = {"logits": None, "log_density": None}
    _serve(
        store,
        _split(0, **unsampled),
        _split(1, allocation_id="c1", arm="control", state=None, **unsampled),
        _split(1),
    )
    deliver(store, [_event(0), _event(1), event("control", -2)])
    log = read(store, PLATFORMS, BEGIN + 2 * DAY)
    assert log.arm_N.tolist() == ["policy", "control", "policy"]
    assert log.explored_N.tolist() == [False, False, True]
    assert np.isnan(log.state_NS).all(1).tolist() == [False, True, False]
    assert np.isnan(log.logits_NP).all(1).tolist() == [True, True, False]
    assert log.learnable().cycle_N.tolist() == [1]
    assert read(store, PLATFORMS, BEGIN + 2 * DAY, arms=("control",)).cycle_N.tolist() == [1]


def test_newest_and_settle_choose_cycles_by_each_campaigns_own_clock(tmp_path: Path) -> None:
    half_day = {"cycle_hours": 12.0}
    store = make_store(tmp_path, campaigns={"brand": {}, "rush": half_day})
    _serve(store, *(_split(cycle) for cycle in range(4)))
    _serve(
        store,
        *(
            _split(cycle, campaign_id="rush", allocation_id=f"r{cycle}", at=BEGIN + cycle * DAY / 2)
            for cycle in range(6)
        ),
    )
    now = BEGIN + 3 * DAY + timedelta(hours=1)

    def cells(**chosen: Any) -> list[tuple[str, int]]:
        log = read(store, PLATFORMS, now, **chosen)
        return [(log.campaigns[one], int(cycle)) for one, cycle in zip(log.campaign_N, log.cycle_N, strict=True)]

    assert cells(newest=2) == [("brand", 1), ("rush", 4), ("brand", 2), ("rush", 5)], "the newest end last"
    assert cells(newest=1, settle=1) == [("brand", 1), ("rush", 4)]
    assert cells(campaigns=["rush"], newest=1) == [("rush", 5)]
    assert cells(campaigns=["unknown"]) == []
    assert read(store, PLATFORMS, now, campaigns=[]).outcome_NPQ.shape == (0, 2, 5)


def test_rows_that_do_not_fit_together_are_refused_and_bundles_choose(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    _serve(store, _split(0), _split(1, bundle="b2", state=np.zeros(41, "<f4").tobytes()))
    with pytest.raises(ServedError, match=r"^state: rows of 41 and 640 numbers; name the bundles to read$"):
        read(store, PLATFORMS, BEGIN + 2 * DAY)
    assert read(store, PLATFORMS, BEGIN + 2 * DAY, bundles=["b2"]).state_NS.shape == (1, 41)
    with pytest.raises(
        ServedError,
        match=r"^platforms: cycle 0 of 'brand' was served over search, social by bundle b1, not over social, search;",
    ):
        read(store, ("social", "search"), BEGIN + 2 * DAY, bundles=["b1"])


def test_the_last_state_of_each_cycle_that_is_wanted(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    noon = timedelta(hours=12)
    again = {"allocation_id": "again", "at": BEGIN + DAY + noon, "state": np.full(640, 7, "<f4").tobytes()}
    stopped = {"allocation_id": "stopped", "at": BEGIN + DAY + 2 * noon - timedelta(seconds=1), "state": None}
    other = {"allocation_id": "other", "arm": "control", "share": {"social": 0.5, "search": 0.5}}
    _serve(store, *(_split(cycle) for cycle in range(4)), _split(1, **again), _split(1, **stopped), _split(2, **other))
    got = last_states_of(store, {("brand", "policy"): range(1, 3), ("brand", "control"): range(4)})
    assert {key: sorted(rows) for key, rows in got.items()} == {("brand", "policy"): [1, 2], ("brand", "control"): [2]}
    one = got["brand", "policy"][1]
    assert (one.at, one.platforms) == (BEGIN + DAY + noon, PLATFORMS)
    assert one.state_S.dtype == np.float32
    assert (one.state_S == 7).all(), "the newest with a state: one of a static split has none"
    assert got["brand", "control"][2].platforms == ("social", "search")
    assert last_states_of(store, {("brand", "policy"): range(0)}) == {}
    store.close()
