"""Who is in a canary: the first of the policy's buckets, and nobody else's arm ever changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crossmix.ledger.canaries import Canary, from_plain, plain
from crossmix.terms import SHIPPED
from serving.assignment import arms
from serving.assignment.arms import Experiment

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 1, 10, tzinfo=UTC)
USERS = [f"user {n}" for n in range(20_000)]


def canary(*steps: tuple[float, float], ended: float | None = None, number: int = 1) -> Canary:
    """Steps as days after MIDNIGHT and parts; ended so many days after it."""
    begun = tuple((MIDNIGHT + day * DAY, part) for day, part in steps)
    return Canary(
        number, 2, "b" * 64, 1, "ann", begun[0][0], tuple(part for _, part in steps), 7, 0.0, 0.05, len(steps) - 1,
        begun[-1][0], begun, None if ended is None else MIDNIGHT + ended * DAY,
    )  # fmt: skip


def test_steps_take_the_first_of_the_policys_buckets_and_leave_all_others_alone() -> None:
    plain_one = Experiment("e", "salt")
    tried = replace(plain_one, canaries=(canary((0.4, 0.1), (7.4, 0.2), (14.4, 0.5), ended=21.4),))
    before = {user: plain_one.arm(user) for user in USERS}
    last: set[str] = set()
    for day, size in ((0, 0.0), (1, 0.07), (7, 0.07), (8, 0.14), (15, 0.35), (21, 0.35), (22, 0.0)):
        begins = MIDNIGHT + day * DAY
        now = {user: tried.arm_asked(user, begins) for user in USERS}
        assert now == {user: tried.arm_served(user, begins) for user in USERS}
        inside = {user for user, arm in now.items() if arm == "canary"}
        assert len(inside) / len(USERS) == pytest.approx(size, abs=0.01)
        assert all(before[user] == "policy" for user in inside)
        assert all(now[user] == before[user] for user in USERS if user not in inside)
        assert all(plain_one.bucket(user) < size * 10_000 for user in inside)
        assert last <= inside or not inside, "who is in it stays in it"
        last = inside
        parts = [tried.part(arm, begins) for arm in ("canary", "policy", "control")]
        assert parts == pytest.approx([size, 0.7 - size, 0.3])


def test_whoever_a_cycle_began_with_ends_it() -> None:
    one = replace(Experiment("e", "salt"), canaries=(canary((0.4, 0.5), ended=3.4),))
    inside = [user for user in USERS if one.arm_asked(user, MIDNIGHT + DAY) == "canary"]
    assert {one.arm_asked(user, MIDNIGHT) for user in inside} == {"policy"}, "it began in that cycle"
    assert {one.arm_asked(user, MIDNIGHT + 3 * DAY) for user in inside} == {"canary"}, "it ended in that cycle"
    assert {one.arm_asked(user, MIDNIGHT + 4 * DAY) for user in inside} == {"policy"}
    assert one.tried is None
    first = canary((0.4, 0.5), ended=3.4)
    second = replace(one, canaries=(first, canary((3.5, 0.1), number=2)))
    assert [getattr(second.canary(MIDNIGHT + n * DAY), "id", None) for n in (0, 1, 3, 4)] == [None, 1, 1, 2]


def test_of_a_shipped_policy_it_has_a_part_of_everybody_and_of_a_static_split_nobody() -> None:
    row = canary((0.0, 0.1))
    shipped = Experiment("e", "salt", ended=MIDNIGHT, outcome=SHIPPED, shipped=MIDNIGHT, canaries=(row,))
    begins = MIDNIGHT + DAY
    assert shipped.part("canary", begins) == pytest.approx(0.1)
    inside = [user for user in USERS if shipped.arm_asked(user, begins) == "canary"]
    assert len(inside) / len(USERS) == pytest.approx(0.1, abs=0.01)
    ended = Experiment("e", "salt", ended=MIDNIGHT, reason="it lost", canaries=(row,))
    assert {ended.arm_asked(user, begins) for user in USERS[:500]} == {"control"}
    assert [ended.part(arm, begins) for arm in ("canary", "policy", "control")] == [0.0, 0.0, 1.0]


def test_a_start_without_the_database_knows_it() -> None:
    rows = (canary((0.4, 0.1), (7.4, 0.2)),)
    one = replace(Experiment("e", "salt", started=MIDNIGHT), canaries=rows)
    kept = arms.kept(one), [plain(row) for row in rows]
    again = arms.restored(kept[0], [from_plain(row) for row in kept[1]])
    assert again == one
    assert again is not None
    assert again.arm_asked(USERS[0], MIDNIGHT + DAY) == one.arm_asked(USERS[0], MIDNIGHT + DAY)
