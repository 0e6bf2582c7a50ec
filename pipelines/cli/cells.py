"""Cells of a table on a terminal, where a letter of Chinese, Japanese or Korean is as wide as two others."""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def padded(text: str, size: int, *, right: bool = False) -> str:
    """A text with blanks behind it, or before it, until it is `size` columns wide."""
    blanks = " " * (size - width(text))
    return blanks + text if right else text + blanks
