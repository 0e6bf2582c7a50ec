"""Signs and words of currencies beside an amount, and in a column of codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

_CODES = """
    usd eur gbp jpy chf sek nok dkk isk pln czk huf ron bgn rsd try ils aed sar qar kwd bhd omr jod mad
    inr pkr lkr bdt npr idr thb vnd myr sgd hkd php cny twd krw aud nzd cad mxn brl ars clp cop pen uyu
    zar egp ngn kes ghs uah rub kzt gel
    """
CODES = frozenset(_CODES.split())
_ONE = MappingProxyType(
    {
        "€": "EUR", "euro": "EUR", "euros": "EUR", "£": "GBP", "us$": "USD", "u$s": "USD", "a$": "AUD", "au$": "AUD",
        "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "hk$": "HKD", "nt$": "TWD", "s$": "SGD", "sg$": "SGD", "mx$": "MXN",
        "r$": "BRL", "₹": "INR", "₩": "KRW", "원": "KRW", "₺": "TRY", "tl": "TRY", "₽": "RUB", "руб": "RUB",
        "р": "RUB", "₪": "ILS", "₫": "VND", "đ": "VND", "฿": "THB", "₱": "PHP", "₦": "NGN", "₴": "UAH", "грн": "UAH",
        "₸": "KZT", "₾": "GEL", "fr": "CHF", "sfr": "CHF", "zł": "PLN", "kč": "CZK", "ft": "HUF", "lei": "RON",
        "лв": "BGN", "лв.": "BGN", "дин": "RSD", "din": "RSD", "rm": "MYR", "rp": "IDR", "r": "ZAR", "s/": "PEN",
        "ksh": "KES", "円": "JPY", "元": "CNY", "د.إ": "AED", "ر.س": "SAR", "dhs": "AED",
    }
)  # fmt: skip
"""Signs and words that name one currency, without a point at the end."""
_SEVERAL: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "$": frozenset(["USD", "AUD", "CAD", "NZD", "HKD", "TWD", "SGD", "MXN", "CLP", "COP", "ARS"]),
        "¥": frozenset(("JPY", "CNY")),
        "kr": frozenset(("SEK", "NOK", "DKK", "ISK")),
        "rs": frozenset(("INR", "PKR", "LKR", "NPR")),
    }
)
"""Signs that several currencies have."""
_WORDS = sorted((*CODES, *_ONE, *_SEVERAL), key=lambda word: (-len(word), word))
_ANY = "|".join(map(re.escape, _WORDS))
BEFORE = re.compile(rf"(?:{_ANY})\.?(?=[\s\d.,(+-]|$)", re.IGNORECASE)
AFTER = re.compile(rf"(?:(?<=[\s\d.,)-])|^)(?:{_ANY})\.?$", re.IGNORECASE)
"""A sign or word at the beginning or the end of an amount."""
_COLUMN = re.compile(r"currency|währung|devise|moneda|moeda|valuta|waluta|měna|para birimi|валюта|通貨|币种|幣別|통화")


def named(word: str) -> str:
    """The currency of a sign or a word, as EUR; where several have it, the word itself."""
    plain = word.strip().lower()
    plain = plain if plain in _ONE else plain.rstrip(".")
    return _ONE.get(plain) or plain.upper()


def agreed(names: Iterable[str]) -> list[str]:
    """Different currencies among names; a sign of several is one with any of them: `$` and `AUD` are `AUD`."""
    found = list(dict.fromkeys(names))
    several = {name: _SEVERAL[name.lower()] for name in found if name.lower() in _SEVERAL}
    return [name for name in found if not (name in several and several[name] & set(found))]


def is_column(name: str) -> bool:
    """Whether a column's name says that it has codes of currencies."""
    return bool(_COLUMN.search(name.lower()))


def is_code(text: str) -> bool:
    """Whether a cell is a currency: a code of three letters, or a sign."""
    return bool(re.fullmatch(r"[a-z]{3}", text.strip().lower())) or is_sign(text)


def is_sign(text: str) -> bool:
    """Whether a text is a currency's sign or word: `€`, `Rs.`, `원`."""
    plain = text.strip().lower().rstrip(".")
    return plain in _ONE or plain in _SEVERAL
