"""Who made a version champion, and for what reason, as its tag tells it: of this version, and of those before."""

from __future__ import annotations

import json

import pytest

from crossmix.registry.version import CHAMPION_DIGEST, CHAMPION_RATIO, Version, compare, rollback_to


@pytest.mark.parametrize(
    ("tag", "promotion"),
    [
        ({"actor": "ann", "reason": "better", "at": "2026-01-01", "over": 1}, {"actor": "ann", "reason": "better"}),
        ({"by": "ann", "why": "better", "at": "2026-01-01", "over": 1}, {"actor": "ann", "reason": "better"}),
        (None, {}),
    ],
)
def test_promotion_is_read_under_both_names(tag: dict[str, object] | None, promotion: dict[str, str]) -> None:
    tags = {} if tag is None else {"promoted": json.dumps(tag)}
    assert Version("m", 2, "run", "d" * 64, (), tags).promotion == promotion


def version(number: int, **tags: object) -> Version:
    return Version("m", number, "run", "d" * 64, (), {key: json.dumps(tag) for key, tag in tags.items()})


CHANGE = {"actor": "ann", "at": "2026-01-01T09:00:00+00:00", "reason": "worse"}


def test_a_rollback_goes_to_the_champion_before_and_once() -> None:
    promoted, before = version(3, promoted=CHANGE | {"over": 2}), version(2)
    assert rollback_to(promoted, before, None) == rollback_to(promoted, before, 3) == (before, "")
    assert rollback_to(promoted, before, 1) == (promoted, "version 1 is not champion, nothing was rolled back")
    restored = version(2, promoted=CHANGE | {"over": 3, "rollback": True})
    bad = version(3, rolled_back=CHANGE | {"to": 2})
    target, note = rollback_to(restored, bad, None)
    assert target is restored
    assert note == (
        "version 3 was rolled back already, at 2026-01-01T09:00:00+00:00 by ann; to take version 2 out too, name it"
    )


def test_a_rollback_brings_back_nothing_that_was_rolled_back() -> None:
    restored, bad = version(2, promoted=CHANGE | {"rollback": True}), version(3, rolled_back=CHANGE | {"to": 2})
    with pytest.raises(LookupError, match=r"version 3, which was rolled back at .* by ann \(worse\); promote another"):
        rollback_to(restored, bad, 2)
    for previous in (None, restored):
        with pytest.raises(LookupError, match="nothing to roll back to; promote another version instead"):
            rollback_to(restored, previous, 2)


def judged(ratio: str, digest: str = "d", **tags: str) -> Version:
    told = {"data_digest": "one", "evaluate_digest": "e", "oracle_ratio": ratio}
    return Version("m", 2, "run", digest, (), told | tags)


def test_two_figures_are_compared_in_one_market() -> None:
    champion = judged("0.9900", digest="old")
    assert compare(judged("0.9910"), champion) == (True, "oracle ratio 0.9910 is above the champion's 0.9900")
    wins, why = compare(judged("0.9910", data_digest="other"), champion)
    assert not wins
    assert "different data" in why
    # One that was judged beside the champion, in a refitted market: by the champion's figure there, whatever was first.
    beside = {"data_digest": "other", CHAMPION_DIGEST: "old", CHAMPION_RATIO: "0.9600"}
    assert compare(judged("0.9800", **beside), champion) == (
        True,
        "oracle ratio 0.9800 is above the champion's 0.9600",
    )
    assert not compare(judged("0.9500", **beside), champion)[0]
    # Another version is champion by now.
    assert not compare(judged("0.9800", **beside), judged("0.9900", digest="newer"))[0]
