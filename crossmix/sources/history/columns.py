"""Which column of an export is which of a history's: names that ad platforms, connectors and sheets give them.

Names are compared without case, signs and the currency in brackets: `Conv. value (EUR)` is `conv value`. Of several
columns that fit, the one that stands first here is read, and the others are told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from crossmix.schema import DataError
from crossmix.sources.history import by_words
from crossmix.sources.history.currencies import CODES, agreed, is_code, is_sign, named
from crossmix.sources.history.dates import is_date
from crossmix.sources.history.more_names import MORE

NUMBERS = ("spend", "impressions", "clicks", "conversions", "revenue")
REQUIRED = ("date", "platform", *NUMBERS)
CAMPAIGN, PLANNED = "campaign", "planned"
OPTIONAL = (CAMPAIGN, PLANNED)
KNOWN = (*REQUIRED, *OPTIONAL)

# Google Ads, Meta Ads, TikTok, GA4, LinkedIn, Microsoft Advertising; dbt's ad_reporting models (which Fivetran keeps),
# Airbyte's streams; then the same in other languages.
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "date": (
            *("date", "day", "date day", "segments date", "date start", "reporting starts", "stat time day", "by day"),
            *(
                "gregorian date",
                "time period",
                "timeperiod",
                "start date in utc",
                "start date",
                "dimensions stat time day",
            ),
            *("period", "week", "week start", "week starting", "week of", "iso week", "month day", "reporting date"),
            *("report date", "activity date", "tag", "datum", "woche", "kalenderwoche", "jour", "semaine", "fecha"),
            *("día", "dia", "semana", "data", "giorno", "settimana", "dag", "dato", "日付", "日期"),
        ),
        "platform": (
            *("platform", "channel", "ad platform", "advertising platform", "media platform", "media channel"),
            *("marketing channel", "media source", "data source", "source", "publisher", "vendor", "network"),
            *("session source", "session source medium", "source medium", "session default channel group"),
            *("default channel group", "session primary channel group", "medium", "publisher platform", "datasource"),
            *("plattform", "kanal", "werbekanal", "quelle", "plateforme", "canal", "régie", "plataforma", "fuente"),
            *("piattaforma", "canale", "kanaal", "medium quelle"),
        ),
        "campaign": (
            *("campaign", "campaign name", "campaign group name", "campaign id", "session campaign", "campaign group"),
            *(
                "session campaign name",
                "utm campaign",
                "metrics campaign name",
                "kampagne",
                "kampagnenname",
                "campagne",
            ),
            *("nom de la campagne", "campaña", "nombre de la campaña", "campagna", "nome campagna", "campanha"),
            *("nome da campanha", "campagnenaam"),
        ),
        "spend": (
            *(
                "spend",
                "cost",
                "amount spent",
                "ad spend",
                "adspend",
                "spent",
                "total spent",
                "total spend",
                "total cost",
            ),
            *("media spend", "media cost", "ads cost", "ad cost", "advertiser ad cost", "cost in local currency"),
            *("cost in usd", "costs", "ad spend cost", "metrics spend", "metrics cost", "metrics cost micros"),
            *("cost micros", "spend micros", "kosten", "ausgaben", "ausgegebener betrag", "werbekosten", "mediakosten"),
            *("mediaspend", "coût", "cout", "coûts", "dépenses", "depenses", "montant dépensé", "coste", "gasto"),
            *("importe gastado", "inversión", "inversion", "costo", "spesa", "importo speso", "custo", "valor usado"),
            *("besteed bedrag", "uitgaven", "費用", "花费"),
        ),
        "impressions": (
            *("impressions", "impr", "impression", "ad impressions", "ads impressions", "advertiser ad impressions"),
            *("metrics impressions", "imps", "views shown", "impressionen", "einblendungen", "impresiones"),
            *("impressioni", "impressões", "impressoes", "vertoningen", "affichages", "表示回数"),
        ),
        "clicks": (
            *("clicks", "link clicks", "click", "ad clicks", "ads clicks", "advertiser ad clicks", "metrics clicks"),
            *("inline link clicks", "clicks destination", "clicks all", "klicks", "link klicks", "klicks auf link"),
            *("klicks alle", "clics", "clics sur un lien", "clics en el enlace", "clic", "clic sul link", "cliques"),
            *("cliques no link", "klikken", "クリック数"),
        ),
        "conversions": (
            *("conversions", "conversion", "conv", "total conversions", "metrics conversions", "website purchases"),
            *(
                "purchases",
                "purchase",
                "results",
                "key events",
                "leads",
                "lead",
                "complete payment",
                "total complete payment",
            ),
            *(
                "orders",
                "transactions",
                "ecommerce purchases",
                "all conv",
                "all conversions",
                "metrics all conversions",
            ),
            *("website leads", "konversionen", "conversionen", "käufe", "ergebnisse", "bestellungen", "achats"),
            *(
                "résultats",
                "conversiones",
                "compras",
                "resultados",
                "conversioni",
                "acquisti",
                "risultati",
                "conversões",
            ),
            *("conversies", "aankopen", "コンバージョン"),
        ),
        "revenue": (
            *(
                "revenue",
                "conv value",
                "conversion value",
                "conversions value",
                "conversion values",
                "conversions values",
            ),
            *("total conversion value", "total conv value", "metrics conversions value", "purchases conversion value"),
            *("purchase conversion value", "website purchases conversion value", "purchase value", "purchase revenue"),
            *("total revenue", "ecommerce revenue", "total purchase value", "complete payment value", "total value"),
            *("total complete payment value", "total complete payment rate value", "all conv value", "all revenue"),
            *("attributed revenue", "sales", "sales value", "value", "umsatz", "erlös", "conversion wert", "conv wert"),
            *("conversionwert", "wert der conversions", "kaufwert", "conversion wert für käufe"),
            *(
                "chiffre d affaires",
                "valeur de conversion",
                "valeur de conv",
                "revenu",
                "ingresos",
                "valor de conversión",
            ),
            *("valor de conv", "ricavi", "valore di conversione", "valore conv", "receita", "valor de conversão"),
            *("omzet", "conversiewaarde", "売上"),
        ),
        "planned": (
            "planned",
            "planned budget",
            "planned spend",
            "plan",
            "plan spend",
            "geplant",
            "planbudget",
            "prévu",
        ),
    }
)
_BRACKET = re.compile(r"[(\[]\s*([^)\]]*?)\s*[)\]]")
_WIDE = str.maketrans("（）［］【】", "()[][]")
_MONEY = re.compile(rf"[€$£¥₹円元원]|\b(?:{'|'.join(sorted(CODES))})\b|(?<=^[kmt])(?:{'|'.join(sorted(CODES))})$")
_UNITS: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("k", "000", "000s", "thousand", "thousands", "tsd", "tausend", "milliers", "miles"), 1e3),
        **dict.fromkeys(("migliaia", "milhares", "duizend", "tys", "tis", "тыс", "千"), 1e3),
        **dict.fromkeys(("mio", "mn", "mln", "million", "millions", "millionen", "млн", "百万"), 1e6),
        **dict.fromkeys(("cent", "cents", "ct", "cts", "pence", "öre", "øre", "paise"), 0.01),
        **dict.fromkeys(("lakh", "lakhs", "lac", "lacs"), 1e5),
        **dict.fromkeys(("crore", "crores"), 1e7),
        **{"천": 1e3, "万": 1e4, "만": 1e4, "백만": 1e6, "亿": 1e8, "億": 1e8, "억": 1e8},
    }
)
"""What a figure is counted in, by the words in brackets behind its name."""
_UNITS_OF_MONEY = MappingProxyType({"t": 1e3, "m": 1e6})
"""Letters that say it only beside a currency: `(T€)`, `(€m)`."""
_SUM = re.compile(
    r"^(?:sum|summe|somme|suma|soma|somma|som)\s+(?:of|von|de|di|van)\s+|\s*[-(]?\s*sum\)?$", re.IGNORECASE
)
_TABLE = re.compile(r"'?[\w ]+'?\[([^\[\]]+)\]")
_RATIO = re.compile(r"[^\W\d]\.?\s*/\s*[^\W\d]")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_UNIT_WORD = re.compile(r"[\s_]+(?:in[\s_]+)?(thousands|millions|cents)$")
SYNONYMS = MappingProxyType({name: (*own, *MORE.get(name, ())) for name, own in SYNONYMS.items()})
_OF = {
    synonym: (name, rank) for name, synonyms in SYNONYMS.items() for rank, synonym in reversed([*enumerate(synonyms)])
}


@dataclass(frozen=True, slots=True)
class Found:
    """Which column of a sheet is which of the history's."""

    at: dict[str, int]
    """A history's column to the sheet's index."""
    ignored: list[int]
    """Indices that are not read."""
    rivals: dict[str, list[str]]
    """A history's column to others of the sheet that fit too."""
    currency: str | None
    """Named by a header, as EUR."""
    micros: bool
    """Spend is in millionths."""
    scale: dict[str, float]
    """A history's column to what one of it is, where the header says another unit than 1: `Spend (k€)` is in 1,000."""


@lru_cache(maxsize=1 << 14)
def plain(name: str) -> str:
    """A column's name without case, signs and a currency: `Conv. value (EUR)` is `conv value`.

    Words that only capitals part are parted where that makes a known name (`advertiserAdCost`), and what a pivot table
    or a report puts around a name goes: `Sum of Cost`, `FactAds[Cost]`.
    """
    found = _plain(name)
    if found in _OF:
        return found
    inside = _TABLE.fullmatch(name.strip())
    others = (_CAPITAL.sub(" ", name), _SUM.sub("", name.strip()), *([inside[1]] if inside else ()))
    return next((other for text in others if (other := _plain(text)) in _OF), found)


def _plain(name: str) -> str:
    text = unit_of(name)[0]
    text = _BRACKET.sub(lambda found: "" if found[1] in CODES or is_sign(found[1]) else f" {found[1]} ", text)
    words = re.sub(r"[\W_]+", " ", re.sub(r"[€$£¥]", "", text.replace("%", " percent "))).split()
    if len(words) > 1 and words[-1] in CODES and " ".join(words) not in _OF:
        words.pop()
    return " ".join(words)


def unit_of(name: str) -> tuple[str, float]:
    """A column's name in lower case without the unit that its figures are in, and that unit: `spend`, 1000."""
    text = name.strip().lower().translate(_WIDE)
    for match in _BRACKET.finditer(text):
        inside = re.sub(r"^in\s+|[.'’\s]", "", match[1])
        bare = _MONEY.sub("", inside)
        unit = _UNITS.get(bare) or (_UNITS_OF_MONEY.get(bare) if bare != inside else None)
        if unit is not None:
            money = _MONEY.search(inside)
            rest = f" ({money[0]})" if money else ""
            return f"{text[: match.start()].rstrip()}{rest}{text[match.end() :]}", unit
    word = _UNIT_WORD.search(text)
    return (text[: word.start()], _UNITS[word[1]]) if word else (text, 1.0)


def currency_of(name: str) -> str | None:
    """The currency that a column's name ends with or has in brackets, as EUR."""
    name = unit_of(name)[0]
    for text in (*_BRACKET.findall(name.translate(_WIDE)), re.sub(r"[\W_]+", " ", name).rpartition(" ")[2]):
        if is_code(text) and (text.strip() in CODES or not (text.isascii() and text.strip().isalpha())):
            return named(text)
    return None


@lru_cache(maxsize=1 << 14)
def column_of(name: str) -> str | None:
    """Which of a history's columns a name means; `None`: none."""
    known = _OF.get(plain(name))
    return known[0] if known else None


def meant(name: str) -> str | None:
    """Which of a history's columns a name means, by a list of names or else by its words; `None`: none."""
    by_name = column_of(name)
    if by_name is not None:
        return by_name
    found = _by_words(name)
    return found[0] if found else None


@lru_cache(maxsize=1 << 14)
def _by_words(name: str) -> tuple[str, int] | None:
    return None if by_words.is_rate(name) else by_words.column(plain(name))


def score(mapped: Mapping[str, str], names: Sequence[str]) -> int:
    """How many of a history's columns a line of cells names, by itself or by `data.columns`."""
    given = {plain(column) for column in mapped.values()}
    found = {meant(name) or (plain(name) if plain(name) in given else None) for name in names if name.strip()}
    return len(found - {None})


def check_mapped(mapped: Mapping[str, str]) -> None:
    """Raise `DataError` where `data.columns` names something that a history does not have."""
    for name in mapped:
        if name not in KNOWN:
            raise DataError(f"data.columns.{name}: a history has no such column; use one of {', '.join(KNOWN)}")


def has(header: Sequence[str], name: str) -> bool:
    """Whether a sheet has a column of that name."""
    return name in header or plain(name) in map(plain, header)


def find(
    header: Sequence[str], mapped: Mapping[str, str], where: str, tells: Callable[[str, int], bool] | None = None
) -> Found:
    """Which column is which.

    Args:
        mapped: `data.columns`, a history's column to the sheet's name.
        where: the sheet, for errors.
        tells: whether a column, by its index, may be `date` or `platform` by its cells: `Day` may have the names of
            weekdays, `Channel` one word for all.

    Raises:
        DataError: `data.columns` names a column that is not there, or one that is read is there twice.
    """
    names = [plain(name) for name in header]
    at: dict[str, int] = {}
    rivals: dict[str, list[str]] = {}
    for column, wanted in mapped.items():
        exact = [index for index, name in enumerate(header) if name == wanted]
        fitting = exact or [index for index, name in enumerate(names) if name == plain(wanted)]
        if not fitting:
            raise DataError(
                f"data.columns.{column}: {where!r} has no column {wanted!r}; it has {', '.join(filter(None, header))}"
            )
        at[column] = _once(fitting, header, where)
        other = next((name for name, index in at.items() if index == at[column] and name != column), None)
        if other is not None:
            raise DataError(
                f"data.columns.{column}: {header[at[column]]!r} of {where!r} is {other} already; a column is one of "
                "them: name another"
            )
    for column, synonyms in SYNONYMS.items():
        if column in at:
            continue
        free = [index for index in range(len(header)) if index not in at.values() and header[index]]
        if column in NUMBERS:
            free = [index for index in free if not is_ratio(header[index])]
        fitting = list(dict.fromkeys(index for synonym in synonyms for index in free if names[index] == synonym))
        if tells is not None and column in ("date", "platform") and len(fitting) > 1:
            fitting.sort(key=lambda index, column=column: not tells(column, index))  # type: ignore[misc]
        if not fitting:
            fitting = _by_their_words(column, header, free)
        if fitting:
            first = [index for index in fitting if names[index] == names[fitting[0]]]
            at[column] = _once(first, header, where)
            others = [header[index] for index in fitting if index not in first]
            if others:
                rivals[column] = others
    if "conversions" not in at and "revenue" in at:
        counted = [index for index, name in enumerate(names) if name == "sales" and index not in at.values()]
        if counted:  # Criteo's: a number beside their revenue
            at["conversions"] = _once(counted, header, where)
            rivals.pop("revenue", None)
    money = [currency_of(header[at[name]]) for name in ("spend", "revenue") if name in at]
    told = agreed(code for code in money if code)
    if len(told) > 1:
        raise DataError(
            f"spend: {where!r} has it in {money[0]} and revenue in {money[1]}; convert one to the other's currency"
        )
    return Found(
        at,
        [index for index in range(len(header)) if index not in at.values()],
        rivals,
        next(iter(told), None),
        "spend" in at and "micros" in names[at["spend"]].split(),
        {
            name: unit
            for name, index in at.items()
            if name in (*NUMBERS, PLANNED) and (unit := unit_of(header[index])[1]) != 1
        },
    )


def _by_their_words(column: str, header: Sequence[str], free: Sequence[int]) -> list[int]:
    """Columns that mean it by their words alone, those that are nearest to it first."""
    ranks = {index: found[1] for index in free if (found := _by_words(header[index])) and found[0] == column}
    return sorted(ranks, key=lambda index: ranks[index])


def is_ratio(name: str) -> bool:
    """Whether a name is of one figure per another, as `Valor/conv.`, whose signs `plain` leaves out."""
    return _RATIO.search(_BRACKET.sub("", name)) is not None


def _once(indices: Sequence[int], header: Sequence[str], where: str) -> int:
    if len(indices) > 1:
        name = header[indices[0]]
        codes = [code for at in indices if (code := currency_of(header[at]))]
        if len(set(codes)) == len(indices):
            column = column_of(name) or name
            raise DataError(
                f"{column}: {where!r} has it in {' and in '.join(codes)}; say which one is read, in the currency of "
                f"revenue and of the other platforms (--map {column!s}={name!r})"
            )
        raise DataError(
            f"{name}: column appears twice in {where!r}; keep one, or give them different names and say which one is "
            "read (--map)"
        )
    return indices[0]


LOGS = {
    "criteo": ("Criteo's attribution log", {"uid", "campaign", "conversion", "cpo"}),
    "ipinyou": ("an iPinYou log", {"bidid", "ipinyouid"}),
    "kuairand": ("a KuaiRand log", {"user_id", "video_id", "is_click"}),
    "openbandit": ("an Open Bandit log", {"item_id", "propensity_score"}),
    "impressions": ("a log of impressions", {"impression_id", "price_paid"}),
}
"""By source: logs of events that are taken for a history, and columns that tell them."""


def missing(where: str, header: Sequence[str], found: Mapping[str, int], lacks: Sequence[str]) -> DataError:
    """What to say of a sheet that lacks columns: what it probably is, and what to do."""
    if {"platform", "spend"} <= set(lacks) and {"date", "revenue"} <= set(found):
        return DataError(
            f"platform, spend: {where!r} has dates and revenue alone: sales that no platform claims. A split is learnt "
            "from what each platform's money came back with: pass spend, impressions, clicks, conversions and the "
            "revenue attributed to it, by day and platform, as the platforms' exports have them; what media caused "
            "beyond that only an experiment tells (docs/guides/your-data.md)"
        )
    results = [header[found[name]] for name in ("conversions", "revenue") if name in found]
    if {"spend", "impressions", "clicks"} <= set(lacks) and {"date", "platform"} <= set(found) and results:
        return DataError(
            f"spend: {where!r} has results by source ({', '.join(results)}) and no money, impressions or clicks. To "
            "split by what each platform attributes to itself, leave it out beside the platforms' exports, which have "
            "their own results; to split by these, put them in one table with each platform's spend, impressions and "
            "clicks, a row for a day and platform (docs/guides/your-data.md)"
        )
    names = {name.strip().lower() for name in header}
    for source, (kind, columns) in LOGS.items():
        if columns <= names:
            return DataError(
                f"{lacks[0]}: {where!r} looks like {kind}, a line for each impression; it is no spend history: read it "
                f"with --source {source} (crossmix run --source {source} --data FILE)"
            )
    if not found and any(map(is_date, header)):
        return DataError(
            f"date: {where!r} has no header: its first line is {', '.join(header)[:120]!r}; put a line with the "
            f"columns' names above it ({', '.join(REQUIRED)})"
        )
    shown = ", ".join(filter(None, header)) or "no names"
    hint = f"; it has {shown[:300]}: add or rename the column, or say which one it is (--map {lacks[0]}=NAME)"
    if lacks[0] == "platform":
        hint += (
            ". The export of one platform needs the others' beside it: pass their folder (a file's name is then its "
            "platform), or split among campaigns (--map platform=Campaign)"
        )
    if {"impressions", "clicks"} <= set(lacks) <= {"impressions", "clicks", "conversions", "revenue"}:
        hint += (
            ". How a platform answers to money is learnt from what the money bought: export impressions and clicks by "
            "day too; of a platform that has none, as television, add these columns and leave their cells blank"
        )
    return DataError(
        f"{lacks[0]}: column is missing from {where!r} (missing: {', '.join(lacks)}); a spend history has "
        f"{', '.join(REQUIRED)} and may have {' and '.join(OPTIONAL)}{hint}"
    )
