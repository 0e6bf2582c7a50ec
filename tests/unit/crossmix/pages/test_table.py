"""Tables as data: which colour a change has."""

from __future__ import annotations

import math

import pytest

from crossmix.pages.table import lift_kind


@pytest.mark.parametrize(
    ("low", "high", "direction", "kind"),
    [
        (0.01, 0.2, "more", "good"),
        (-0.2, -0.01, "more", "bad"),
        (0.01, 0.2, "less", "bad"),
        (-0.2, -0.01, "less", "good"),
        (0.01, 0.2, "none", ""),
        (-0.1, 0.1, "more", ""),
        (0.0, 0.1, "more", ""),
        (None, -0.1, "more", ""),
        (math.nan, 0.1, "more", ""),
    ],
)
def test_a_change_is_good_or_bad_only_where_its_interval_leaves_0_out(
    low: float | None, high: float | None, direction: str, kind: str
) -> None:
    assert lift_kind(low, high, direction) == kind
