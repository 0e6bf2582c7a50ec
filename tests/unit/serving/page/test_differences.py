"""What differs, field by field, and how its values are written."""

from __future__ import annotations

from typing import Any

import pytest

from serving.page.differences import LONGEST, differences, text_of


def test_fields_of_objects_are_told_by_themselves() -> None:
    before = {"budget": 1.0, "limits": {"search": {"min": 0.1}}, "override": None, "same": 3}
    after = {"budget": 2.0, "limits": {"search": {"max": 0.5}}, "override": {"kind": "static"}, "same": 3}
    assert list(differences(before, after)) == [
        ("budget", 1.0, 2.0),
        ("limits.search.min", 0.1, None),
        ("limits.search.max", None, 0.5),
        ("override.kind", None, "static"),
    ]
    assert list(differences(after, after)) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (0.1, "0.1"),
        (1_000_000.5, "1000000.5"),
        (True, "true"),
        ("static", "static"),
        (["a", "ü"], '["a", "ü"]'),
        ("2026-01-05T09:30:00+00:00", "2026-01-05 09:30 UTC"),
    ],
)
def test_a_value_in_a_sentence(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_a_long_value_is_cut_in_a_list_and_whole_in_a_form() -> None:
    long = "x" * (LONGEST + 1)
    assert text_of(long) == long
    assert text_of(long, LONGEST) == "x" * (LONGEST - 1) + "…"
    assert text_of(long[1:], LONGEST) == long[1:]
