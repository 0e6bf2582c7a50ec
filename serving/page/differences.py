"""What differs between two states of something, field by field, as the page and its forms show it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from crossmix.pages.format import moment

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
LONGEST = 160
"""Characters of a value in a list of changes."""


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Field, as limits.search.min, from what, to what; what is an object on either side, by its fields."""
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            yield from differences(old or {}, new or {}, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}", old, new


def text_of(value: Any, longest: int | None = None) -> str:
    """A value in a sentence, cut after so many characters; `None`: whole."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if _MOMENT.match(text):
        return f"{moment(text)} UTC"
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
