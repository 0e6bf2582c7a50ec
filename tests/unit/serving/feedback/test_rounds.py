"""Rounds of the pusher: one push for all, late reports made again, clocks that ran ahead, stores that are away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from crossmix.ledger import pushes
from crossmix.ledger.store import StoreAwayError
from crossmix.state import ALLOCATION
from feature_repo import features
from serving.campaigns import service as campaigns
from serving.feedback import feature_rows
from serving.feedback import materialise as push
from serving.feedback.statistics import Known
from tests.support.pushing import DAY, PLATFORMS, World, both, pusher
from tests.support.serving_live import START, event


def test_the_pusher_outlives_the_feature_store_and_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1.0]
    one = pusher(world, now)
    for cycle in range(3):
        names = {"campaign_id": "c0", "platform": "platform0", "cycle": cycle}
        world.take(cycle + 0.5, event(f"p{cycle}", **names), event(f"c{cycle}", arm="control", **names))
    one.once()
    assert (one.trouble, one.failures, one.pushed) == (None, 0, 2)
    assert one.newest == START + DAY

    away = world.folder.rename(world.folder.with_name("away"))
    now[0] = 2.0
    one.once()
    assert one.trouble is not None
    assert str(world.folder) in one.trouble
    assert (one.failures, one.pushed) == (1, 2)
    away.rename(world.folder)
    one.once()
    assert (one.trouble, one.since, one.failures, one.pushed) == (None, None, 1, 4)

    now[0] = 3.0
    with monkeypatch.context() as patched:

        def gone(_: Any) -> Any:
            raise StoreAwayError("database x: connection refused")

        patched.setattr(World, "store", property(gone))
        one.once()
        assert one.trouble == "database x: connection refused"
    one.once()
    assert (one.trouble, one.pushed) == (None, 6)
    assert world.rows() == 6


def test_the_pusher_runs_by_itself_until_it_is_stopped(world: World) -> None:
    world.take(0.5, event("1", campaign_id="c0", platform="platform0"))
    one = pusher(world, [1.0])
    one.start()
    deadline = time.monotonic() + 300
    while not one.pushed and time.monotonic() < deadline:
        time.sleep(0.02)
    one.stop()
    one.join(300)
    assert not one.is_alive()
    assert one.pushed == 1
    one.stop()


def test_a_folder_of_other_platforms_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "platforms", property(lambda _: PLATFORMS[:2]))
    world.take(0.5, event("1", campaign_id="c0", platform="platform0"))
    one = pusher(world, [1.0])
    one.once()
    assert one.trouble is not None
    assert one.trouble.startswith(f"features: {world.folder} has platforms platform0, ")
    assert one.trouble.endswith("serve with that of the bundle's run")
    assert pushes.all_newest(world.store) == {}


def test_a_round_is_one_push_and_a_late_report_is_made_again_in_the_next(
    world: World, pushed_frames: list[pd.DataFrame]
) -> None:
    now = [1.0]
    one = pusher(world, now)
    for name in ("c0", "c1"):
        world.take(0.9, *both(world, 0, name))
    one.once()
    assert [len(frame) for frame in pushed_frames] == [4]
    now[0] = 2.0
    one.once()
    assert [len(frame) for frame in pushed_frames] == [4, 4]
    assert ALLOCATION.of_campaign(world.row(), "pace") == pytest.approx(1.0)
    assert world.gaps.of(world.campaign, "policy", 0).troubles[0]["why"].startswith("no feedback of campaign c0, arm ")
    # At 09:00 the policy's day 1 is reported: a tenth of it was not spent.
    now[0] = 2.375
    told = [one for one in both(world, 1) if one["arm"] == "policy"]
    world.take(2.375, *({**row, "spend": row["spend"] * 0.9} for row in told))
    one.once()
    assert [len(frame) for frame in pushed_frames] == [4, 4, 1]
    assert ALLOCATION.of_campaign(world.row(), "pace") == pytest.approx(1 + 0.1 / 8)
    assert ALLOCATION.of_campaign(world.row("control"), "pace") == pytest.approx(1.0)
    assert world.gaps.of(world.campaign, "policy", 0).troubles == ()
    _, seconds = features.online_known(world.folder, ["c0"], "policy")
    assert seconds == [(START + 2 * DAY).timestamp()]
    # What changes no finished cycle is not pushed: an event of today, a conversion that counts when today ends.
    sold = {"impressions": 0, "spend": 0, "revenue": 9.0}
    world.take(2.5, event("today", campaign_id="c0", platform="platform0", cycle=2))
    world.take(2.5, event("sold", campaign_id="c0", platform="platform0", cycle=0, **sold))
    for _ in range(2):
        one.once()
    assert len(pushed_frames) == 3


def test_a_round_of_many_arms_is_one_push_until_there_are_so_many_rows(
    world: World, pushed_frames: list[pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "MOST_READ", 1)
    now = [1.0]
    one = pusher(world, now)
    for name in ("c0", "c1"):
        world.take(0.9, *both(world, 0, name), *both(world, 1, name))
    one.once()
    # Read one by one, handed over together.
    assert [len(frame) for frame in pushed_frames] == [4]
    now[0] = 2.0
    monkeypatch.setattr(push, "MOST_MADE", 3)
    one.once()
    assert [len(frame) for frame in pushed_frames] == [4, 3]
    one.once()
    assert [len(frame) for frame in pushed_frames] == [4, 3, 1]
    keys = [tuple(key) for frame in pushed_frames[1:] for key in frame[["campaign_id", "arm"]].to_numpy()]
    assert sorted(keys) == [(name, arm) for name in ("c0", "c1") for arm in ("control", "policy")]
    one.once()
    assert len(pushed_frames) == 3


def test_what_the_log_says_is_read_so_many_campaigns_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_rows, "SEEDS_AT_ONCE", 1)
    asked: list[list[str]] = []
    known = features.online_known

    def counted(path: Any, names: list[str], arm: str) -> Any:
        asked.append(list(names))
        return known(path, names, arm)

    monkeypatch.setattr(features, "online_known", counted)
    now = [1.0]
    one = pusher(world, now)
    for name in ("c0", "c1"):
        world.take(0.9, *both(world, 0, name))
    one.once()
    assert asked == [["c0"], ["c1"]]
    now[0] = 2.0
    one.once()
    assert asked == [["c0"], ["c1"]]


def test_a_campaign_of_which_the_log_cannot_be_read_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, damaged = features.online_known, [True]

    def read(path: Any, names: list[str], arm: str) -> Any:
        if arm == features.LOG_ARM and damaged and "c0" in names:
            raise ValueError("c0 is no message")
        return known(path, names, arm)

    monkeypatch.setattr(features, "online_known", read)
    now = [1.0]
    one = pusher(world, now)
    for name in ("c0", "c1"):
        world.take(0.9, *both(world, 0, name))
    one.once()
    assert (one.trouble, one.pushed) == (None, 2)
    assert features.online_known(world.folder, ["c1"], "policy")[1] == [(START + DAY).timestamp()]
    assert any("what the log says of it cannot be read: c0 is no message" in str(why) for why in world.gaps.troubles())
    damaged.clear()
    now[0] = 1 + 61 / 86_400
    one.once()
    assert one.pushed == 4
    assert world.gaps.troubles() == []


def test_an_idle_round_asks_one_question(world: World) -> None:
    now = [1.0]
    one = pusher(world, now)
    world.take(0.9, *both(world, 0))
    one.once()
    asked: list[str] = []
    sa.event.listen(world.store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    one.once()
    assert len(asked) == 1
    assert "feedback_state" in asked[0]


def test_all_are_looked_at_until_a_look_finds_nothing_and_again_once_something_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []
    progress = pushes.progress

    def noted(store: Any, *, moved: bool = False) -> Any:
        looks.append(not moved)
        return progress(store, moved=moved)

    monkeypatch.setattr(pushes, "progress", noted)
    now, minute = [1.0], 61 / 86_400
    one = pusher(world, now)
    world.take(0.9, *both(world, 0))
    for _ in range(4):
        one.once()
        now[0] += minute
    # It pushes; looks once more for what came in the last moment; then nothing is left, and nothing comes.
    assert looks == [True, True, False, False]
    world.take(1.01, event("more", campaign_id="c0", platform="platform0", cycle=1))
    one.once()
    assert looks[4:] == [True]
    now[0] = 2.0
    one.once()
    assert looks[5:] == [True], "a cycle has ended"
    assert set(pushes.all_newest(world.store).values()) == {1}


def test_an_event_of_the_last_moment_that_is_written_after_the_push_counts(world: World) -> None:
    now = [1.0]
    one = pusher(world, now)
    world.take(0.9, *both(world, 0)[1:10])
    one.once()
    before = ALLOCATION.of_campaign(world.row(), "pace")
    world.take(0.99, both(world, 0)[0])  # received before midnight, written after the round
    now[0] = 1 + 61 / 86_400
    one.once()
    assert (before, ALLOCATION.of_campaign(world.row(), "consumed")) == (pytest.approx(1.0), pytest.approx(0.1))
    assert world.field("utilisation").tolist() == pytest.approx([1.0] * 10)


def test_a_clock_that_ran_ahead_heals(world: World) -> None:
    """Twenty seconds a year ahead after day 2, then right again: cycles 3 to 9 are pushed as they end, none skipped."""
    now = [3.0]
    one = pusher(world, now)
    for cycle in range(3):
        world.take(cycle + 0.9, *both(world, cycle))
    one.once()
    right = world.row()
    now[0] = 368.0
    one.once()
    assert set(pushes.all_newest(world.store).values()) == {9}
    now[0] = 3.1
    one.once()
    assert set(pushes.all_newest(world.store).values()) == {2}
    assert np.array_equal(world.row(), right)
    _, seconds = features.online_known(world.folder, ["c0"], "policy")
    assert seconds == [(START + 3 * DAY).timestamp()]
    assert world.rows() == 6
    for cycle in range(3, 10):
        world.take(cycle + 0.9, *both(world, cycle))
        now[0] = cycle + 1.0
        one.once()
        assert pushes.all_newest(world.store)["c0", "policy"] == cycle
        assert ALLOCATION.of_campaign(world.row(), "pace") == pytest.approx(1.0 if cycle < 9 else 0.0, abs=1e-6)
    assert world.rows() == 20


def test_a_clock_that_was_ahead_before_the_start_takes_its_notes_back(world: World) -> None:
    one = pusher(world, now := [3.0])
    world.take(0.9, *both(world, 0))
    one.once()
    now[0] = -1.0
    one.once()
    assert set(pushes.all_newest(world.store).values()) == {-1}


def test_a_campaign_that_cannot_be_computed_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = pusher(world, now := [1.0])
    for name in ("c0", "c1"):
        world.take(0.9, *both(world, 0, name))
    original = push.rows_of

    def failing(known: Sequence[Known], *more: Any) -> Any:
        if any(one.campaign.campaign_id == "c0" for one in known):
            raise ValueError("a share is nan")
        return original(known, *more)

    with monkeypatch.context() as patched:
        patched.setattr(push, "rows_of", failing)
        one.once()
    assert (one.trouble, one.pushed) == (None, 2)
    assert set(pushes.all_newest(world.store)) == {("c1", "policy"), ("c1", "control")}
    found = world.gaps.of(world.campaign, "policy", 0)
    assert found.notes == ("statistics of campaign c0, arm policy: a share is nan",)
    assert world.gaps.of(world.campaigns["c1"], "policy", 0).notes == ()
    now[0] = 1 + 61 / 86_400
    one.once()
    assert one.pushed == 4
    assert world.gaps.of(world.campaign, "policy", 0).notes == ()


def test_another_databases_newer_row_gives_way(world: World) -> None:
    frame = pd.DataFrame([np.full(128, 0.5)], columns=list(ALLOCATION.names))
    frame = frame.assign(campaign_id="c0", arm="policy", event_timestamp=START + 8 * DAY)
    features.push_statistics(world.folder, frame)
    world.take(0.9, *both(world, 0))
    world.advance(1)
    assert ALLOCATION.of_campaign(world.row(), "elapsed") == pytest.approx(0.1)
    assert world.rows() == 1
    # A push of nobody's database leaves a newer row alone, as before.
    features.push_statistics(world.folder, frame.assign(event_timestamp=START + DAY / 2))
    assert ALLOCATION.of_campaign(world.row(), "elapsed") == pytest.approx(0.1)


def test_an_edited_budget_changes_the_pace_at_once_and_not_the_past(world: World) -> None:
    """700 of 1,400 unspent after two days: 87.5 a day more, which is 1/8 of 700 a day and 1/16 of 1,400."""
    now = [2.0]
    one = pusher(world, now)
    world.take(0.9, *both(world, 0))
    world.take(1.9, *both(world, 1, spend=0.0), complete=True)
    one.once()
    assert ALLOCATION.of_campaign(world.row(), "pace") == pytest.approx(1 + 1 / 8)
    world.live.now = START + 2.1 * DAY
    now[0] = 2.1
    world.store.clock = lambda: START + 2.1 * DAY
    campaigns.edit(world.store, "c0", {"cycle_budget": 2_000.0}, PLATFORMS, "ann", "more")
    world.live.reload()
    one.once()
    assert ALLOCATION.of_campaign(world.row(), "pace") == pytest.approx(1 + 1 / 16)


def test_a_server_that_leaves_pushing_to_another_says_what_is_missing(
    world: World, pushed_frames: list[pd.DataFrame]
) -> None:
    world.take(0.9, *both(world, 0))
    assert world.advance(3, writes=False) == 0
    assert pushed_frames == []
    assert pushes.all_newest(world.store) == {}
    assert world.gaps.of(world.campaign, "policy", 0).unreported == 2


def test_a_cycle_in_which_it_was_paused_was_told_nothing(world: World) -> None:
    """Paused from before cycle 1 until after it, unasked and unreported: its 700 return over the eight left."""
    world.take(0.9, *both(world, 0))
    for days, change in ((0.99, campaigns.pause), (2.01, campaigns.resume)):
        world.store.clock = lambda days=days: START + days * DAY
        change(world.store, "c0", "ann", "sold out")
    world.live.reload()
    world.advance(2.1)
    assert ALLOCATION.of_campaign(world.row(), "pace") == pytest.approx(1 + 1 / 8)
    assert world.gaps.of(world.campaign, "policy", 0).notes == ()
    # Paused within cycle 3 alone it may have spent: that is unknown.
    for days, change in ((3.5, campaigns.pause), (4.5, campaigns.resume)):
        world.store.clock = lambda days=days: START + days * DAY
        change(world.store, "c0", "ann", "sold out")
    world.live.reload()
    world.advance(5.1)
    held = world.gaps.of(world.campaign, "policy", 0).unreported
    assert held == 3  # 2, 3 and 4
