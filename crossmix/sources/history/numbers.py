"""Numbers as people write them: one convention for the whole input, proved on all rows.

A point or a comma is the decimal separator where one value shows it (`355.07`: not three digits follow), a thousands
separator where one value shows that (`1.503,64`, `1.234.567`). Where no value decides (`4.261`), impressions and clicks
do: they are whole. What is left is asked.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from crossmix.schema import DataError
from crossmix.sources.history import currencies

_SCRIPTS = str.maketrans("٫٬．，￥＄", ".,.,¥$")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"))
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u2018\u02bc\u00b4\u2032", "'"))
Role = Literal["decimal", "thousands"]
DECIMAL = {"point": ".", "comma": ","}
OTHER = {".": ",", ",": "."}
WHOLE = ("impressions", "clicks")
"""Columns whose values are whole numbers."""
FEWEST_KEPT, MOST_KEPT = 10_000, 300_000
"""Columns of so many rows are kept with their values: fewer are parsed at once, more would fill the memory."""
BLANKS = frozenset(
    (
        *("-", "--", "---", "n/a", "na", "n.a.", "#n/a", "null", "none", "(not set)", "nil", ".", "nan", "\\n", "<na>"),
        *(
            "(none)",
            "<null>",
            "[null]",
            "not available",
            "k.a.",
            "k. a.",
            "n.v.",
            "nicht verfügbar",
            "n.d.",
            "n/d",
            "s/o",
        ),
    )
)
"""What stands for no value."""
ENOUGH = 90
"""Numbers that all have three digits after the separator, beside plain ones below 1,000: shortest decimals would end in
a zero now and then, with so many of them in all but 0.9^90 = 1 in 10,000 cases."""
_READY = re.compile(r"-?[0-9]+(\.([0-9]{1,2}|[0-9]{4,}))?|")
_READY_LINES = re.compile(r"(?>(?>-?[0-9]++(?:\.(?:[0-9]{1,2}(?![0-9])|[0-9]{4,}+))?+)?\n)*+")
"""Lines of which each is `_READY`; nothing is tried twice."""
_BARE_LINES = re.compile(r"(?>(?>-?[0-9][0-9.,]*+)?\n)*+")
"""The same of `_BARE` and blanks."""
_BARE = re.compile(r"-?[0-9][0-9.,]*")
_EXPONENT = re.compile(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+")
_GAPS = re.compile(r"(?<=\d)[\s'`_](?=\d{3}(\D|$))")
_NO_CENTS = re.compile(r"(?<=\d)([.,])\s?-{1,2}(?!\d)")
"""`1.250,-` and `CHF 1'250.-`: an amount without cents."""
_SIGNED = re.compile(r"([-+]?)([(]?)([-+]?)(\d[\d.,]*|[.,]\d+)([-+]?)([)]?)([-+]?)")
"""Signs and brackets around digits, blanks gone."""


@dataclass(slots=True)
class Convention:
    """How numbers are written, and what it was proved by."""

    decimal: str | None = None
    """`.` or `,`; `None`: no value has decimals."""
    thousands: str | None = None
    proof: dict[tuple[str, Role], tuple[str, str]] = field(default_factory=dict)
    """Separator and role to the column and the value that show it."""
    by_counts: bool = False
    """Thousands separators were told by counts being whole."""


def convert(
    columns: Mapping[str, Sequence[str]], decimal: str | None
) -> tuple[dict[str, list[str]], list[str], str | None]:
    """Columns of numbers as plain text (`-1234.5`); what is no number stays as it is, what stands for none is empty.

    Args:
        columns: of NUMBERS and `planned`, as they are in the input.
        decimal: `data.decimal`, `point` or `comma`; `None`: found.

    Returns:
        The columns, sentences for the user, and the currency whose sign they carry.

    Raises:
        DataError: two conventions, none that is certain, or two currencies.
    """
    if decimal != "comma" and all(map(_all_ready, columns.values())):
        return {name: list(values) for name, values in columns.items()}, [], None
    is_ready = _READY.fullmatch
    unique = {name: dict.fromkeys(values) for name, values in columns.items()}
    hard = {name: [text for text in texts if not is_ready(text)] for name, texts in unique.items()}
    bare: dict[str, dict[str, str | None]] = {name: {} for name in columns}
    signs: dict[str, tuple[str, str]] = {}
    blanks = set()
    digits = {name for name, values in columns.items() if _all_match(_BARE_LINES, values)}
    for name, texts in hard.items():
        if name in digits:
            bare[name] = dict(zip(texts, texts, strict=True))
            continue
        for text in texts:
            core, sign = _bare(text)
            bare[name][text] = core
            if sign:
                signs.setdefault(sign, (name, text))
            if core == "" and text.strip():
                blanks.add(text.strip())
    currency = _one_currency(signs)
    found = _convention(
        {name: [core for core in cores.values() if core] for name, cores in bare.items()},
        {name: [text for text in texts if text not in bare[name]] for name, texts in unique.items()},
        DECIMAL[decimal] if decimal else None,
    )
    result = {}
    for name, values in columns.items():
        if name in digits:
            result[name] = _written("\n".join(values), "\n".join(values), found).split("\n")
            continue
        read = dict(zip(unique[name], unique[name], strict=True))
        read.update((text, _written(text, core, found)) for text, core in bare[name].items())
        result[name] = list(map(read.__getitem__, values))
    return result, _notes(found, signs, blanks), currency


_known: deque[tuple[list[str], npt.NDArray[np.float64]]] = deque(maxlen=8)
"""The columns that were parsed last. Each step of a reading asks for the values of the same texts: comparing them, the
very same objects, costs a tenth of parsing them."""


def values(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Plain numbers as values; NaN: none, or no number."""
    own = list(texts)
    for known, found in _known:
        if len(known) == len(own) and known == own:
            return found.copy()
    found = _parsed(own)
    if FEWEST_KEPT <= len(own) <= MOST_KEPT:
        _known.append((own, found))
    return found.copy()


def _parsed(texts: list[str]) -> npt.NDArray[np.float64]:
    if all(texts):
        with suppress(ValueError):  # a word among them, digits that another script has, half a character
            return _finite(pa.array(texts, pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False))
    joined = "".join(texts)
    if joined.isascii() and "_" not in joined:
        with suppress(ValueError):  # a word among them
            return _finite(np.array([float(text) if text else math.nan for text in texts], float))
    return _finite(np.asarray(pd.to_numeric(np.array(texts, dtype=object), errors="coerce"), float))


def _all_ready(texts: Sequence[str]) -> bool:
    """Whether all are `_READY`, in one go."""
    whole = "".join(texts)
    return (whole.isascii() and whole.isdigit()) or _all_match(_READY_LINES, texts)


def _all_match(lines: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether the texts are such lines."""
    whole = "\n".join([*texts, ""])
    return bool(texts) and whole.count("\n") == len(texts) and lines.fullmatch(whole) is not None


def _finite(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`inf` is no amount."""
    return np.where(np.isfinite(numbers), numbers, math.nan)


def _bare(text: str) -> tuple[str | None, str | None]:
    """A value's digits and separators with its sign, and its currency; `None`: no number; empty: no value."""
    if _BARE.fullmatch(text):
        return text, None
    core = _western(text).strip()
    if core.lower() in BLANKS or not core:
        return "", None
    if _EXPONENT.fullmatch(core):
        return core, None
    core, found = _without_currency(_NO_CENTS.sub(lambda cents: _whole(core, cents), core))
    if core in BLANKS or not core:  # `$ -` of a format for accounts
        return "", None
    parts = _SIGNED.fullmatch(re.sub(r"\s+(?=[-+()])|(?<=[-+(])\s+", "", _GAPS.sub("", core)))
    if parts is None or bool(parts[2]) != bool(parts[6]):
        return None, None
    minus = [parts[at] for at in (1, 3, 5, 7)].count("-")
    if minus > 1:
        return None, None
    return ("-" if minus or parts[2] else "") + parts[4], found


def _whole(core: str, cents: re.Match[str]) -> str:
    """What stands for `,-`: `,0`, which shows the decimal separator, unless the same one is before it."""
    return "" if cents[1] in core[: cents.start()] else f"{cents[1]}0"


def _without_currency(core: str) -> tuple[str, str | None]:
    """An amount without the signs and words of a currency around it, and the currency: `-R$ 5` is `-5` in BRL."""
    names = []
    opened = ""
    while core:
        if core[0] in "-+(" and not core[1:2].isdigit():
            opened, core = opened + core[0], core[1:].lstrip()
            continue
        found = currencies.BEFORE.match(core)
        if found is None:
            break
        names.append(currencies.named(found.group()))
        core = core[found.end() :].lstrip()
    closed = ""
    while core:
        if core[-1] in "-+)" and not core[-2:-1].isdigit():
            closed, core = core[-1] + closed, core[:-1].rstrip()
            continue
        found = currencies.AFTER.search(core)
        if found is None:
            break
        names.append(currencies.named(found.group()))
        core = core[: found.start()].rstrip()
    names = currencies.agreed(names)
    return opened + core + closed, names[0] if len(names) == 1 else " ".join(names) or None


def _western(text: str) -> str:
    """Digits and signs of other scripts as 0 to 9, point, comma and minus: `١٢٣٫٥`, `１２３`, `−5`.

    Marks of the direction of writing go; a slash among Persian digits is their decimal point.
    """
    if text.isascii():
        return text
    if re.search(r"[\u0660-\u0669\u06f0-\u06f9]/[\u0660-\u0669\u06f0-\u06f9]+$", text):
        text = text.replace("/", "\u066b")
    text = "".join(str(unicodedata.decimal(char, char)) for char in text if unicodedata.category(char) != "Cf")
    return re.sub(r"\s", " ", text.translate(_SCRIPTS).translate(_DASHES).translate(_APOSTROPHES))


def _one_currency(signs: Mapping[str, tuple[str, str]]) -> str | None:
    names = currencies.agreed(signs)
    if len(names) > 1:
        one, two = names[:2]
        (field_, value), (other, second) = signs[one], signs[two]
        raise DataError(
            f"{field_}: {value!r} is in {one} and {other} {second!r} in {two}; amounts of two currencies cannot be "
            "added up: convert them to one"
        )
    return next(iter(names), None)


def _convention(
    cores: Mapping[str, Sequence[str]], ready: Mapping[str, Sequence[str]], given: str | None
) -> Convention:
    """What the values prove together.

    Args:
        cores: of values that are not plain.
        ready: values that are plain under a decimal point: they prove it where they have decimals.
        given: the decimal separator that the user named.
    """
    found = Convention()
    open_: dict[str, dict[str, list[str]]] = {}
    for name, texts in ready.items():
        shown = next((text for text in texts if "." in text), None)
        if shown is not None:
            found.proof.setdefault((".", "decimal"), (name, shown))
    for name, texts in cores.items():
        _prove(name, "\n".join(texts), found, open_)
    for separator in ".,":
        both = [found.proof.get((separator, role)) for role in ("decimal", "thousands")]
        if both[0] and both[1]:
            raise _two(separator, both[0], both[1])
    for separator in ".,":
        if (separator, "decimal") in found.proof:
            found.decimal = separator
        if (separator, "thousands") in found.proof:
            found.thousands = separator
    decimals = [found.proof[one] for one in ((".", "decimal"), (",", "decimal")) if one in found.proof]
    if len(decimals) == 2:
        raise _two("decimal separator", *decimals)
    if given is not None:
        return _as_given(found, given)
    for separator, values in open_.items():
        _settle(separator, values, found, cores, ready)
    return found


def _patterns(separator: str, other: str) -> tuple[re.Pattern[str], ...]:
    """Lines in which a separator is a decimal one after thousands, a decimal one, a thousands one; is open."""
    s, o = re.escape(separator), re.escape(other)
    patterns = (
        rf"^-?[\d{o}]*{o}[\d{o}]*{s}\d*$",
        rf"^-?\d*{s}(?:\d{{0,2}}|\d{{4,}})$|^-?(?:\d{{4,}}|0\d*|){s}\d{{3}}$",
        rf"^-?\d*{s}\d*{s}[\d{s}]*$",
        rf"^-?[1-9]\d{{0,2}}{s}\d{{3}}$",
    )
    return tuple(re.compile(pattern, re.MULTILINE) for pattern in patterns)


_PATTERNS = {separator: _patterns(separator, other) for separator, other in OTHER.items()}


def _prove(name: str, lines: str, found: Convention, open_: dict[str, dict[str, list[str]]]) -> None:
    """Enter what the values of a column prove, one a line, and which are open."""
    for separator, (after, decimal, thousands, undecided) in _PATTERNS.items():
        if both := after.search(lines):
            found.proof.setdefault((separator, "decimal"), (name, both.group()))
            found.proof.setdefault((OTHER[separator], "thousands"), (name, both.group()))
        if one := decimal.search(lines):
            found.proof.setdefault((separator, "decimal"), (name, one.group()))
        if one := thousands.search(lines):
            found.proof.setdefault((separator, "thousands"), (name, one.group()))
        if values := undecided.findall(lines):
            open_.setdefault(separator, {})[name] = values


def _two(what: str, one: tuple[str, str], two: tuple[str, str]) -> DataError:
    return DataError(
        f"{one[0]}: {one[1]!r} and {two[0]} {two[1]!r} follow two conventions of numbers ({what!r} cannot be both); "
        "write all numbers in one, best without thousands separators"
    )


def _as_given(found: Convention, given: str) -> Convention:
    contrary = found.proof.get((given, "thousands")) or found.proof.get((OTHER[given], "decimal"))
    if contrary is not None:
        word = next(word for word, sign in DECIMAL.items() if sign == given)
        raise DataError(
            f"data.decimal: {word}, and {contrary[0]} has {contrary[1]!r}; drop the setting or mend the value"
        )
    found.decimal, found.thousands = given, OTHER[given]
    return found


def _settle(
    separator: str,
    values: Mapping[str, Sequence[str]],
    found: Convention,
    cores: Mapping[str, Sequence[str]],
    ready: Mapping[str, Sequence[str]],
) -> None:
    """Decide what a separator means whose values do not say (`4.261`).

    Raises:
        DataError: it stays open.
    """
    if separator in (found.decimal, found.thousands):
        return
    if found.decimal == OTHER[separator]:
        found.thousands = separator
        return
    if found.thousands == OTHER[separator]:
        found.decimal = separator
        return
    counts = next((name for name in values if name in WHOLE), None)
    if counts is not None:
        found.thousands, found.by_counts = separator, True
        found.proof[separator, "thousands"] = (counts, values[counts][0])
        return
    plain = [text for name in values for text in (*ready[name], *cores[name]) if text and separator not in text]
    long = [text for text in plain if len(text.lstrip("-")) > 3]
    if long:  # `1234` beside `1,234`: thousands are not separated
        found.decimal = separator
        return
    if plain and sum(map(len, values.values())) >= ENOUGH:
        found.thousands = separator
        return
    name, text = next((name, texts[0]) for name, texts in values.items())
    thousand, decimal = text.replace(separator, ""), text.replace(separator, ".")
    raise DataError(
        f"{name}: {text!r} may be {thousand} or {decimal}, and no value of the input tells which; write it without "
        f"thousands separators, or say what the decimal separator is (--set data.decimal={_word(separator)} for "
        f"{decimal}, --set data.decimal={_word(OTHER[separator])} for {thousand})"
    )


def _word(separator: str) -> str:
    return next(word for word, sign in DECIMAL.items() if sign == separator)


def _written(text: str, core: str | None, found: Convention) -> str:
    """One value as plain text."""
    if core is None or core == "":
        return text if core is None else ""
    if "e" in core.lower():
        return core  # an exponent
    if found.thousands:
        core = core.replace(found.thousands, "")
    return core.replace(",", ".") if found.decimal == "," else core


def _notes(found: Convention, signs: Mapping[str, tuple[str, str]], blanks: set[str]) -> list[str]:
    notes = []
    words = {".": "points", ",": "commas"}
    if found.thousands and (found.thousands, "thousands") in found.proof:
        name, value = found.proof[found.thousands, "thousands"]
        why = "as impressions and clicks are whole numbers" if found.by_counts else f"as {name} {value!r} shows"
        notes.append(f"{words[found.thousands].capitalize()} separate thousands, {why}.")
    elif found.thousands:
        notes.append(f"{words[found.thousands].capitalize()} separate thousands.")
    if found.decimal == ",":
        name, value = found.proof.get((",", "decimal"), ("", ""))
        notes.append(f"A comma is the decimal separator{f', as {name} {value!r} shows' if value else ''}.")
    for sign, (name, value) in signs.items():
        notes.append(f"Amounts carry the currency {sign} ({name} {value!r}).")
    if blanks:
        notes.append(f"{', '.join(repr(blank) for blank in sorted(blanks))} is read as no value.")
    return notes
