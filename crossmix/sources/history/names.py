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


_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june|july|august|september|"
    "october|november|december|okt|dez|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|"
    "juin|juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto|"
    "septiembre|octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|"
    "janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro"
)
_PERIOD = re.compile(
    rf"(?:19|20)\d{{2}}[-_. ]?(?:[01]\d(?:[-_. ]?[0-3]\d)?|q[1-4]|[wk]{{1,2}}\d{{1,2}})(?!\d)|"
    rf"(?<![^\W_])(?:q[1-4]|[wk]{{1,2}}\d{{1,2}}|[01]?\d|(?:{_MONTHS})(?![^\W\d_]))[-_. ]*(?:19|20)\d{{2}}(?!\d)|"
    rf"(?<!\d)(?:19|20)\d{{2}}(?!\d)|(?<![^\W_])(?:{_MONTHS})$|\s*\(\d+\)$|"
    rf"(?<=[^\W_][-_. ])(?:page|seite|part|teil|batch|chunk|shard)[-_. ]?\d+$|(?<=[^\W_]-)\d{{12}}$",
    re.IGNORECASE,
)
"""Months, quarters, weeks, days and years in a name, and the number of a copy, a page or a warehouse's part."""


def is_month_name(text: str) -> bool:
    """Whether a text is a month's name alone, as `Jan` or `März`."""
    return re.fullmatch(rf"(?:{_MONTHS})\.?", text.strip(), re.IGNORECASE) is not None


def without_period(name: str) -> str:
    """A file's name without the time it is of: `google_ads_2025-01` and `google_ads (1)` are `google_ads`."""
    return re.sub(r"[\s_.-]+(?:(?:to|bis|-|–)[\s_.-]*)?$|^[\s_.-]+", "", _PERIOD.sub("", name)).strip()


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
