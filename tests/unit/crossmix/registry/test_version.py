"""Who made a version champion, and for what reason, as its tag tells it: of this version, and of those before."""

from __future__ import annotations

import json

import pytest

from crossmix.registry.version import Version


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
