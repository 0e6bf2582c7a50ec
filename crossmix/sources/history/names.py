"""Names that differ by case, blanks or encoding are one: `meta`, `Meta` and ` META ` are a platform, told."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd


def settle(texts: Sequence[str], what: str) -> tuple[list[str], list[str]]:
    """Each name in the spelling that most rows have; and a sentence for each that had several.

    Args:
        what: the column, for the sentences.
    """
    count = Counter(texts)
    groups: dict[str, Counter[str]] = {}
    for text, number in count.items():
        groups.setdefault(_key(text), Counter())[_shown(text)] += number
    chosen = {key: max(sorted(spellings), key=lambda name: spellings[name]) for key, spellings in groups.items()}
    notes = [
        f"The {what} {chosen[key]!r} is spelt {len(spellings)} ways ({', '.join(map(repr, sorted(spellings)))}); it is "
        "read as one."
        for key, spellings in sorted(groups.items())
        if len(spellings) > 1 and key
    ]
    settled = {text: chosen[_key(text)] for text in count}
    return [settled[text] for text in texts], notes


def categories(texts: Sequence[str]) -> pd.Categorical:
    """Names as categories in their order."""
    known = sorted(set(texts))
    code = dict(zip(known, range(len(known)), strict=True))
    return pd.Categorical.from_codes(np.fromiter(map(code.__getitem__, texts), np.intp, len(texts)), known)


_FLOAT = re.compile(r"^(\s*\d+)\.0+\s*$")


def _shown(text: str) -> str:
    """A name without characters that nobody sees, blanks as one."""
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFC", text) if unicodedata.category(char) != "Cf")
    return " ".join(text.split())


def _key(text: str) -> str:
    """What spellings of a name share: neither case nor blanks, but between digits: `A 1 2` is not `A 12`.

    A point and zeros that a table of floats puts behind a number go: `23847.0` is `23847`.
    """
    text = _FLOAT.sub(r"\1", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _shown(text))
    return re.sub(r"(?<!\d)[\s_\-]+|[\s_\-]+(?!\d)", "", re.sub(r"[\s_\-]+", " ", text).strip()).casefold()
