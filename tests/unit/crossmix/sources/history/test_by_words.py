"""Names of columns that no list has, by their words; and names of rates, which mean no column."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmix.sources.history.columns import column_of, meant
from tests.unit.crossmix.sources.history.test_load import PLAIN, assert_same, taken

HEADERS = {
    "spanish": (
        *("Por día", "Plataforma", "Coste total", "Impresiones totales", "Clics (destino)", "Número de compras"),
        *("Valor total de la compra",),
    ),
    "portuguese": (
        *("Data de início (em UTC)", "Plataforma", "Total gasto", "Impressoes", "Cliques (destino)"),
        *(
            "Total de conversões",
            "Valor total de conversão",
        ),
    ),
    "french": (
        *("Par jour", "Plateforme", "Total dépensé", "Nombre d'impressions", "Clics (destination)"),
        *(
            "Conversions totales",
            "Valeur totale de conversion",
        ),
    ),
    "german": (
        *("Startdatum (in UTC)", "Plattform", "Gesamtausgaben", "Anzahl Impressionen", "Klicks (Ziel)"),
        *(
            "Gesamtkonversionen",
            "Gesamtkonversionswert",
        ),
    ),
    "italian": (
        *("Per giorno", "Piattaforma", "Spesa totale", "Impressioni totali", "Clic (destinazione)"),
        *(
            "Numero di acquisti",
            "Valore totale di conversione",
        ),
    ),
    "german, Microsoft": (
        *("Gregorianisches Datum", "Netzwerk", "Ausgaben", "Impressionen", "Klicks", "Konversionen", "Umsatz"),
    ),
    "italian, Meta": (
        *("Giorno", "Rete", "Importo speso (EUR)", "Impression", "Clic sul link", "Acquisti"),
        "Valore di conversione degli acquisti",
    ),
    "japanese": ("日別", "媒体", "消化金額", "表示回数", "クリック (遷移先)", "購入数", "購入のコンバージョン値"),
}


@pytest.mark.parametrize("language", HEADERS)
def test_names_that_no_list_has_are_read_by_their_words(language: str, tmp_path: Path) -> None:
    columns = ("date", "platform", "spend", "impressions", "clicks", "conversions", "revenue")
    table = PLAIN.rename(columns=dict(zip(columns, HEADERS[language], strict=True)))
    table["Status"] = "active"
    table.to_csv(tmp_path / "history.csv", index=False)
    assert_same(taken(tmp_path / "history.csv"))


@pytest.mark.parametrize(
    "name",
    [
        *("Value / conv.", "Costo per conversione", "Coût par achat", "CPC (destino)", "Taux de conversion", "Valor"),
        *("Kosten pro Conversion", "Conversion name", "Campaign budget", "Fin des rapports", "Total", "Ad name"),
        *("Kampagnenstatus", "Conversions (view-through)", "Clics (%)", "Website", "Average cost"),
    ],
)
def test_rates_and_names_with_an_unknown_word_mean_no_column(name: str) -> None:
    assert meant(name) is None


def test_a_name_of_the_list_comes_before_one_that_its_words_tell(tmp_path: Path) -> None:
    assert column_of("Clics (destino)") is None
    table = PLAIN.rename(columns={"clicks": "Clics"})
    table["Clics (destino)"] = 0
    table.to_csv(tmp_path / "history.csv", index=False)
    assert_same(taken(tmp_path / "history.csv"))
