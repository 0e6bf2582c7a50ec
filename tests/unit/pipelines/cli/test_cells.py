"""Cells are as wide as a terminal draws them."""

from __future__ import annotations

import unicodedata

import pytest

from pipelines.cli.cells import padded, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("google_ads", 10),
        ("Microsoft キャンペーン", 22),
        ("百度", 4),
        ("네이버", 6),
        ("\uff27\uff21", 4),
        ("Búsqueda", 8),
        (unicodedata.normalize("NFD", "Búsqueda"), 8),
        ("", 0),
    ],
)
def test_the_width_of_a_text(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(padded(text, 24)) == width(padded(text, 24, right=True)) == 24
    assert padded(text, 24).startswith(text)
    assert padded(text, 24, right=True).endswith(text)
    assert padded(text, 0) == text
