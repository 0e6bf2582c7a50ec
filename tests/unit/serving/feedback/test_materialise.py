"""Feedback into the feature store: the statistics that `History` gives on the same outcomes, as they became known."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import torch

from crossmix.config import Config, laptop
from crossmix.history import History, Outcome
from crossmix.ledger import pushes, tables
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.feedback import Increment
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION
from feature_repo import features
from serving.campaigns import service as campaigns
from serving.feedback import events as feedback
from serving.feedback import materialise as push
from serving.feedback.cells import Flight, cells
from serving.feedback.gaps import Gaps
from serving.feedback.statistics import row_of
from tests.support.feature_logs import fake_encode, write_log
from tests.support.serving_live import START, FakeLive, event, raw

PLATFORMS = tuple(f"platform{slot}" for slot in range(10))
DAY = timedelta(days=1)
WINDOW, DECAY, WEIGHT = 3, 0.6, 0.7
SHARE = dict(zip(PLATFORMS, [0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01], strict=True))


def log_statistics(dataset: Dataset, config: Config) -> pd.DataFrame:
    """One row a campaign: every field is its index's hundredth."""
    rows = pd.DataFrame({"campaign_id": list(dataset.meta.campaigns), "event_timestamp": pd.Timestamp(START)})
    values = np.tile(np.arange(ALLOCATION.statistics_size) / 100, (len(rows), 1))
    return pd.concat([rows, pd.DataFrame(values, columns=list(ALLOCATION.names))], axis=1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "store"
    folder.mkdir()
    log = write_log(tmp_path_factory.mktemp("log") / "dataset")
    features.build(laptop(), log.path, folder, encode=fake_encode, statistics=log_statistics)
    return folder


@dataclass
class World:
    """A store with a campaign, and a feature folder."""

    live: FakeLive
    folder: Path
    gaps: Gaps = field(default_factory=Gaps)

    @property
    def store(self) -> Store:
        return self.live.store

    @property
    def campaign(self) -> Campaign:
        return self.live.campaigns["c0"]

    @property
    def platforms(self) -> tuple[str, ...]:
        return PLATFORMS

    @property
    def campaigns(self) -> Any:
        return self.live.campaigns

    def weight(self, arm: str, start: datetime | None = None) -> float:
        return {"policy": WEIGHT, "control": 1 - WEIGHT}[arm]

    def take(self, days: float, *raws: dict[str, Any], complete: bool = False) -> None:
        """Events received so many days after the start; `complete`: nothing more comes of their cells."""
        self.live.now = START + days * DAY
        events = feedback.check(raws, self.live.campaigns, PLATFORMS, self.live.experiment, self.live.now)
        feedback.ingest(self.store, [replace(one, complete=complete) for one in events], self.live.now)

    def advance(self, days: float, arm: str = "policy", **more: Any) -> int:
        """A round of a fresh pusher, as after a restart; how many rows it pushed."""
        one = push.Pusher(
            self, self.folder, window=WINDOW, decay=DECAY, clock=lambda: START + days * DAY, arms=(arm,), **more
        )
        one.once()
        assert one.trouble is None
        return one.pushed

    def row(self, arm: str = "policy", campaign: str = "c0") -> Any:
        return features.online_statistics(self.folder, [campaign], arm)[0]

    def field(self, name: str, arm: str = "policy") -> Any:
        return ALLOCATION.of_platforms(self.row(arm), name)

    def rows(self) -> int:
        """Offline, of the arms that serve."""
        table = pd.read_parquet(self.folder / "sources" / "campaign_statistics.parquet")
        return int((table["arm"] != "log").sum())


@pytest.fixture
def world(built: Path, tmp_path: Path) -> Iterator[World]:
    folder = Path(shutil.copytree(built, tmp_path / "features"))
    store = Store(f"sqlite:///{tmp_path}/serving.db")
    limits = {"platform0": {"max": 0.6}, "platform1": {"min": 0.05}}
    planned = {"share": SHARE, "limits": limits, "cycles": 10}
    campaigns.import_(store, [raw("c0", **planned), raw("c1", **planned), raw("new", **planned)], "ann", PLATFORMS)
    yield World(FakeLive(store), folder)
    store.close()


def deliveries(cycles: int, seed: int = 5) -> list[dict[str, Any]]:
    """Every platform's cycle in two events that tell requests, conversions with them."""
    random = np.random.default_rng(seed)
    made = []
    for cycle in range(cycles):
        for platform in PLATFORMS:
            for part in range(2):
                impressions = int(random.integers(50, 100))
                told = {"impressions": impressions, "requests": impressions + int(random.integers(50)), "cycle": cycle}
                told |= {"clicks": int(random.integers(20)), "conversions": int(random.integers(3))}
                told |= {"revenue": float(random.random() * 50), "spend": float(random.random() * 30)}
                name = f"{platform}-{cycle}-{part}"
                made.append(event(name, campaign_id="c0", platform=platform, **told))
    return made


def served(world: World, cycle: int, share: dict[str, float], budget: float, at: float, arm: str = "policy") -> None:
    with world.store.write() as connection:
        row = {"allocation_id": f"{arm}{cycle}{at}", "at": START + at * DAY, "campaign_id": "c0", "arm": arm}
        row |= {"cycle": cycle, "bundle": "b", "budget": budget, "share": share}
        connection.execute(tables.served.insert(), row)


def direct(
    world: World, events: list[dict[str, Any]], cycles: int, splits: dict[int, Any], known: dict[str, int]
) -> Any:
    """The statistics after so many cycles, by `History` from the plain list of events, each known in a cycle."""
    log = world.row("log")[:120].reshape(10, 12)
    history = History(
        window=WINDOW,
        decay=DECAY,
        horizon=10,
        cycle_budget_B=torch.tensor([WEIGHT * 1_000]),
        minimum_BP=torch.tensor([[0, 0.05, *[0] * 8]]),
        maximum_BP=torch.tensor([[0.6, *[1] * 9]]),
        share_BP=torch.tensor([list(SHARE.values())]),
    )
    log_supply = torch.tensor(log[:, ALLOCATION.platform("log_supply")])[None]
    for cycle in range(cycles):

        def total(name: str, own: bool) -> torch.Tensor:
            cells = dict.fromkeys(PLATFORMS, 0.0)
            for one in events:
                counted = one["cycle"] == cycle if own else known[one["event_id"]] == cycle  # noqa: B023
                if counted and known[one["event_id"]] < cycles:
                    cells[one["platform"]] += one.get(name, 0)
            return torch.tensor([list(cells.values())], dtype=torch.float32)

        share, budget = splits.get(cycle, (SHARE, WEIGHT * 1_000))
        share_BP = torch.tensor([[share.get(name, 0.0) for name in PLATFORMS]])
        arrived = total("conversions", False), total("revenue", False)
        delivered = {name: total(name, True) for name in ("requests", "impressions", "clicks", "spend")}
        outcome = Outcome(**delivered, conversions=arrived[0], revenue=arrived[1], planned=share_BP * budget)
        history.update(outcome, *arrived, log_supply.exp() * WEIGHT * 1_000, share_BP)
    end = START + cycles * DAY
    platform, campaign = history.statistics(torch.tensor([float(end.weekday())]))
    return ALLOCATION.encode_statistics(platform, campaign)[0].numpy()


@pytest.mark.slow
def test_rows_are_what_history_gives(world: World) -> None:
    events = deliveries(5)
    other = dict(zip(PLATFORMS, reversed(SHARE.values()), strict=True))
    served(world, 1, SHARE, 500.0, 1.1)
    served(world, 1, other, 650.0, 1.2)
    served(world, 3, other, 700.0, 3.5)
    splits = {1: (other, 650.0), 3: (other, 700.0)}
    known = {one["event_id"]: one["cycle"] for one in events}
    for cycle in range(5):
        world.take(cycle + 0.5, *(one for one in events if one["cycle"] == cycle))
    assert world.advance(4.999) == 4
    np.testing.assert_allclose(world.row(), direct(world, events, 4, splits, known), rtol=2e-6, atol=2e-6)
    assert world.advance(4.999) == 0
    assert world.advance(5) == 1
    want = direct(world, events, 5, splits, known)
    np.testing.assert_allclose(world.row(), want, rtol=2e-6, atol=2e-6)
    _, seconds = features.online_known(world.folder, ["c0"], "policy")
    assert seconds == [(START + 5 * DAY).timestamp()]
    assert np.ptp(want) > 1
    moments = pd.DataFrame({"campaign_id": "c0", "arm": "policy", "event_timestamp": [START + 3.5 * DAY]})
    past = features.offline_states(world.folder, moments)[list(ALLOCATION.names)].to_numpy()[0]
    np.testing.assert_allclose(past, direct(world, events, 3, splits, known), rtol=2e-6, atol=2e-6)


def test_late_conversions_enter_where_they_became_known(world: World) -> None:
    events = deliveries(4)
    late = event("late", campaign_id="c0", platform="platform2", cycle=0, impressions=0, spend=0)
    late |= {"conversions": 5, "revenue": 900.0}
    known = {one["event_id"]: one["cycle"] for one in events} | {"late": 2}
    for cycle in range(4):
        world.take(cycle + 0.5, *(one for one in events if one["cycle"] == cycle), *([late] if cycle == 2 else []))
    world.advance(2)
    before = world.row()
    np.testing.assert_allclose(before, direct(world, [*events, late], 2, {}, known), rtol=2e-6, atol=2e-6)
    world.advance(3)
    np.testing.assert_allclose(world.row(), direct(world, [*events, late], 3, {}, known), rtol=2e-6, atol=2e-6)
    planned = WEIGHT * 1_000 * SHARE["platform2"]
    plain = sum(one["revenue"] for one in events if one["cycle"] == 2 and one["platform"] == "platform2")
    assert world.field("last_roi")[2] == pytest.approx((plain + 900) / planned, rel=1e-5)


def test_late_deliveries_count_in_their_cycle_from_when_they_are_known(world: World) -> None:
    events = deliveries(5)
    late = [one for one in events if one["event_id"].endswith("-1") and one["cycle"] == 1]
    known = {one["event_id"]: 3 if one in late else one["cycle"] for one in events}
    for cycle in range(5):
        world.take(cycle + 0.5, *(one for one in events if known[one["event_id"]] == cycle))
    assert world.advance(5) == 5
    found = pd.read_parquet(world.folder / "sources" / "platform_statistics.parquet")
    found = found[found["arm"] == "policy"].sort_values("event_timestamp")
    names = [name for name in found.columns if name in ALLOCATION.names]
    for cycle in range(5):
        want = dict(zip(ALLOCATION.names, direct(world, events, cycle + 1, {}, known), strict=True))
        got = found.iloc[cycle][names].to_numpy(dtype=float)
        np.testing.assert_allclose(got, [want[name] for name in names], rtol=2e-6, atol=2e-6)


def test_what_is_not_told_is_not_invented(world: World) -> None:
    log = world.row("log")[:120].reshape(10, 12)
    fields = {name: log[:, ALLOCATION.platform(name)] for name in ("log_price", "log_supply")}
    first, second = PLATFORMS[:2]
    told = [
        event("1", campaign_id="c0", platform=first, impressions=30, requests=40, spend=3),
        event("2", campaign_id="c0", platform=first, impressions=70, spend=7),
        event("3", campaign_id="c0", platform=second, impressions=50, spend=5),
    ]
    world.take(0.5, *told)
    world.advance(1)
    assert world.field("win_rate").tolist() == pytest.approx([30 / 40, *[0] * 9])
    assert world.field("log_supply").tolist() == fields["log_supply"].tolist()
    price = np.where(np.arange(10) < 2, np.log(0.1), fields["log_price"])
    assert world.field("log_price").tolist() == pytest.approx(price.tolist(), rel=1e-6)


def test_a_campaign_that_the_log_does_not_know_starts_cold(world: World) -> None:
    world.take(0.5, event("1", campaign_id="new", platform="platform3", impressions=50, spend=5))
    assert world.advance(1) == 1
    row = world.row(campaign="new")[:120].reshape(10, 12)
    assert row[:, ALLOCATION.platform("win_rate")].tolist() == [0] * 10
    assert row[3, ALLOCATION.platform("log_price")] == pytest.approx(np.log(0.1))


def test_arms_are_apart_and_what_was_last_seen_stands(world: World) -> None:
    world.take(0.5, event("p", campaign_id="c0", platform="platform0", revenue=280.0))
    world.take(3.5, event("c", campaign_id="c0", platform="platform0", cycle=3, arm="control", revenue=60.0))
    assert world.advance(1) == 1
    assert world.field("last_roi")[0] == pytest.approx(1.0)
    assert world.advance(3) == 2
    assert world.field("last_roi")[0] == pytest.approx(1.0)
    assert world.field("windowed_roi")[0] == pytest.approx(1.0)
    assert ALLOCATION.of_campaign(world.row(), "elapsed") == pytest.approx(0.3)
    assert world.advance(3.9, "control") == 0
    assert world.advance(4, "control") == 1
    assert world.field("last_roi", "control")[0] == pytest.approx(0.5)
    assert ALLOCATION.of_campaign(world.row("control"), "elapsed") == pytest.approx(0.4)


def test_pushing_ends_with_the_campaign_and_its_last_row_follows_what_comes_late(world: World) -> None:
    assert world.advance(5) == 0
    world.take(0.5, event("1", campaign_id="c0", platform="platform0"))
    assert world.advance(30) == 10
    assert world.advance(40) == 0
    before = world.field("last_roi")[0]
    world.take(40.5, event("2", campaign_id="c0", platform="platform0", cycle=9, impressions=5, spend=7.0, revenue=5.0))
    assert world.advance(41) == 1
    assert (before, world.field("last_roi")[0]) == (0.0, pytest.approx(5 / (WEIGHT * 1_000 * SHARE["platform0"])))
    assert world.advance(50) == 0


def test_a_push_cut_off_before_its_note_is_done_again_to_the_same_effect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = deliveries(3)
    for cycle in range(3):
        world.take(cycle + 0.5, *(one for one in events if one["cycle"] == cycle))
    with monkeypatch.context() as patched:
        patched.setattr(pushes, "note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.advance(3)
    cut, rows = world.row(), world.rows()
    assert rows == 3
    world.take(
        3.2, event("later", campaign_id="c0", platform="platform1", cycle=0, impressions=0, spend=0, revenue=70.0)
    )
    assert world.advance(3) == 3
    assert world.rows() == rows
    assert np.array_equal(world.row(), cut)
    assert world.advance(3) == 0


def pusher(world: World, now: list[float]) -> push.Pusher:
    clock = lambda: START + now[0] * DAY  # noqa: E731
    return push.Pusher(world, world.folder, window=WINDOW, decay=DECAY, seconds=0.01, clock=clock)


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


def test_a_plan_that_changed_on_the_way_does_not_reprice_the_past(world: World) -> None:
    """Three cycles of 700 planned and spent, then 350 a cycle: the pace stays 1, whatever the coming plan is."""

    def plan(cycle: int) -> float:
        return 700.0 if cycle < 3 else 350.0

    spent = [Increment(cycle, cycle, 0, (0.0, 0.0, 10.0, 1.0, 700.0), (0.0, 0.0)) for cycle in range(3)]
    complete = {(cycle, slot) for cycle in range(3) for slot in range(10)}
    flight = Flight(spent, complete, {}, np.array(list(SHARE.values())), plan, world.campaign.cycles)
    for newest in range(3):
        row = row_of(world.campaign, PLATFORMS, cells(flight, newest, 3), {}, WINDOW, DECAY)
        assert ALLOCATION.of_campaign(row.values_X, "pace") == pytest.approx(1.0)
    whole = 3 * 700 + (world.campaign.cycles - 3) * 350
    assert ALLOCATION.of_campaign(row.values_X, "consumed") == pytest.approx(2_100 / whole)


def both(world: World, cycle: int, campaign: str = "c0", **told: Any) -> list[dict[str, Any]]:
    """A cycle's reports of every platform in both arms: spent as planned."""
    share = {"policy": WEIGHT, "control": 1 - WEIGHT}
    return [
        event(
            f"{campaign}-{arm}-{name}-{cycle}",
            **{
                "campaign_id": campaign,
                "arm": arm,
                "platform": name,
                "cycle": cycle,
                "spend": 1_000 * part * SHARE[name],
                **told,
            },
        )
        for arm, part in share.items()
        for name in PLATFORMS
    ]


@pytest.fixture
def pushed_frames(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Every push to the feature store."""
    frames: list[pd.DataFrame] = []
    original = features.push_statistics

    def counted(path: Path, frame: pd.DataFrame, *more: Any) -> Any:
        frames.append(frame)
        return original(path, frame, *more)

    monkeypatch.setattr(features, "push_statistics", counted)
    return frames


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


def test_an_event_of_the_last_moment_that_is_written_after_the_push_counts(world: World) -> None:
    now = [1.0]
    one = pusher(world, now)
    world.take(0.9, *both(world, 0)[1:10])
    one.once()
    before = ALLOCATION.of_campaign(world.row(), "pace")
    world.take(0.99, both(world, 0)[0])  # received before midnight, written after the round
    now[0] = 1 + 31 / 86_400
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
    original = push.row_of

    def failing(campaign: Campaign, *more: Any) -> Any:
        if campaign.campaign_id == "c0":
            raise ValueError("a share is nan")
        return original(campaign, *more)

    with monkeypatch.context() as patched:
        patched.setattr(push, "row_of", failing)
        one.once()
    assert (one.trouble, one.pushed) == (None, 2)
    assert set(pushes.all_newest(world.store)) == {("c1", "policy"), ("c1", "control")}
    found = world.gaps.of(world.campaign, "policy", 0)
    assert found.notes == ("statistics of campaign c0, arm policy: a share is nan",)
    assert world.gaps.of(world.campaigns["c1"], "policy", 0).notes == ()
    now[0] = 1 + 31 / 86_400
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


def test_statistics_follow_corrections_and_stay_numbers_under_a_refund_larger_than_the_cell(world: World) -> None:
    world.take(0.5, *deliveries(1))
    world.advance(1.1)
    plain = world.row().copy()
    name = f"{PLATFORMS[0]}-0-0"
    one = next(made for made in deliveries(1) if made["event_id"] == name)
    world.take(1.2, {**one, "event_id": "mended", "revenue": one["revenue"] + 500.0, "replaces": name})
    quiet = {"campaign_id": "c0", "cycle": 1, "impressions": 0, "spend": 0, "reason": "returned goods"}
    world.take(1.3, event("refund", platform=PLATFORMS[1], revenue=-1e6, conversions=-50, **quiet))
    world.advance(2.1)
    after = world.row()
    assert np.isfinite(after).all()
    assert not np.array_equal(after, plain)
