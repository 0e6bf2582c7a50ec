"""One sound history as exports of other countries write it: names, numbers, dates and encodings of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

COLUMNS = ("date", "platform", "spend", "impressions", "clicks", "conversions", "revenue")
MONTHS_PL = ("stycznia", "lutego", "marca", "kwietnia")


@dataclass(frozen=True)
class Country:
    """How a country writes COLUMNS, amounts and dates."""

    names: Sequence[str]
    thousands: str
    decimal: str
    dates: str
    """For strftime; `{m}`: the month's name in Polish."""
    sign: str = "{}"
    separator: str = ";"
    encoding: str = "utf-8"


COUNTRIES: Mapping[str, Country] = {
    "polish": Country(
        ("Dzień", "Platforma", "Koszt", "Wyśw.", "Kliknięcia", "Konwersje", "Wartość konw."),
        *("\u00a0", ",", "%-d {m} %Y", "{} zł", ";", "cp1250"),
    ),
    "brazilian": Country(
        (
            *("Dia", "Plataforma", "Valor usado (BRL)", "Impressões", "Cliques no link", "Compras"),
            "Valor de conversão da compra",
        ),
        *(".", ",", "%d/%m/%Y", "R$ {}", ";", "cp1252"),
    ),
    "swiss": Country(COLUMNS, "’", ".", "%d.%m.%y", "Fr. {}"),
    "russian": Country(
        ("Дата", "Источник", "Расход (руб.)", "Показы", "Клики", "Конверсии", "Доход (руб.)"),
        *(" ", ",", "%d.%m.%Y", "{}", ";", "cp1251"),
    ),
    "japanese": Country(
        ("日", "媒体", "費用", "表示回数", "クリック数", "コンバージョン", "コンバージョン値"),
        *(",", ".", "%Y年%-m月%-d日", "￥{}", ",", "cp932"),
    ),
    "korean": Country(
        ("일", "플랫폼", "비용", "노출수", "클릭수", "전환수", "전환 가치"), ",", ".", "%Y. %-m. %-d.", "₩{}", ","
    ),
    "czech": Country(
        ("Den", "Platforma", "Cena", "Zobrazení", "Prokliky", "Konverze", "Hodnota konverzí"),
        *(" ", ",", "%-d. %-m. %Y", "{} Kč"),
    ),
    "danish": Country(
        ("Dag", "Platform", "Forbrug", "Visninger", "Klik", "Konverteringer", "Konverteringsværdi"),
        *(".", ",", "%d-%m-%Y", "kr. {}"),
    ),
    "turkish": Country(
        ("Gün", "Platform", "Maliyet", "Gösterimler", "Tıklamalar", "Dönüşümler", "Dönüşüm değeri"),
        *(".", ",", "%d.%m.%Y", "₺{}"),
    ),
}


def abroad(history: pd.DataFrame, country: Country) -> bytes:
    """The history's file; amounts have two decimals, counts none."""

    def number(value: float, places: int) -> str:
        text = f"{value:,.{places}f}".replace(",", "\0").replace(".", country.decimal)
        return text.replace("\0", country.thousands)

    def day(value: str) -> str:
        date = pd.Timestamp(value)
        return date.strftime(country.dates.replace("{m}", MONTHS_PL[date.month - 1]))

    table = history[list(COLUMNS)].copy().astype(object)
    table["date"] = history["date"].map(day)
    for name in COLUMNS[2:]:
        money = name in {"spend", "revenue"}
        texts = history[name].map(lambda value, money=money: number(float(value), 2 if money else 0))
        table[name] = texts.map(country.sign.format) if money else texts
    table.columns = pd.Index(country.names)
    text = table.to_csv(index=False, sep=country.separator)
    return text.encode(country.encoding)


def two_lines(history: pd.DataFrame, *, platforms_above: bool) -> str:
    """A wide table whose header has two lines, the upper one as of merged cells."""
    figures = list(COLUMNS[2:])
    platforms = list(dict.fromkeys(history["platform"]))
    pairs = [(p, f) for p in platforms for f in figures]
    if not platforms_above:
        pairs = [(p, f) for f in figures for p in platforms]
    wide = history.pivot(index="date", columns="platform", values=figures)
    at = 0 if platforms_above else 1
    upper = [pair[at] if not i or pairs[i - 1][at] != pair[at] else "" for i, pair in enumerate(pairs)]
    lower = [pair[1 - at] for pair in pairs]
    lines = [["", *upper], ["Date", *lower]]
    lines += [[day, *(str(wide.loc[day, (f, p)]) for p, f in pairs)] for day in wide.index]
    return "\n".join(",".join(line) for line in lines)
