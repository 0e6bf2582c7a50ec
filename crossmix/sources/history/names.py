"""Names that differ by case or blanks are one: `meta`, `Meta` and ` META ` are a platform, told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence


def settle(texts: Sequence[str], what: str) -> tuple[list[str], list[str]]:
    """Each name in the spelling that most rows have; and a sentence for each that had several.

    Args:
        what: the column, for the sentences.
    """
    count = Counter(texts)
    groups: dict[str, Counter[str]] = {}
    for text, number in count.items():
        groups.setdefault(_key(text), Counter())[" ".join(text.split())] += number
    chosen = {key: max(sorted(spellings), key=lambda name: spellings[name]) for key, spellings in groups.items()}
    notes = [
        f"The {what} {chosen[key]!r} is spelt {len(spellings)} ways ({', '.join(map(repr, sorted(spellings)))}); it is "
        "read as one."
        for key, spellings in sorted(groups.items())
        if len(spellings) > 1 and key
    ]
    settled = {text: chosen[_key(text)] for text in count}
    return [settled[text] for text in texts], notes


def _key(text: str) -> str:
    return re.sub(r"[\s_\-]+", " ", text).strip().casefold()
