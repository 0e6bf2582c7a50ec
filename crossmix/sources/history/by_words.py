"""Which column of a history a name means by its words, in several languages: `Clics (destino)`, `Gesamtausgaben`.

What no list of names has is read where every word of it is known and together they mean one column alone: a word more,
as of a rate or a cost per click, and it means none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

_WORDS = {
    "day": "day daily dia giorno jour tag tages dag 日 日別",
    "date": "date datum data fecha dato 日付",
    "start": "start starts starting inicio debut beginn anfang inizio begin 開始",
    "report": (
        "report reports reporting bericht berichts berichte informe informes rapport rapports relatorio relatorios "
        "レポート"
    ),
    "by": "by por par per nach pro je za за basına",
    "platform": (
        "platform plattform plateforme plataforma piattaforma channel kanal canal canale kanaal network netzwerk "
        "reseau red rete rede netwerk 媒体 プラットフォーム"
    ),
    "plan": (
        "plan planned geplant geplante geplantes soll prevu prevue previsto prevista planificado planejado pianificato"
    ),
    "budget": "budget presupuesto orcamento 予算",
    "campaign": (
        "campaign campaigns campagne campagnes campana campanas campanha campanhas campagna kampagne kampagnen "
        "キャンペーン"
    ),
    "group": "group groups grupo grupos groupe groupes gruppo gruppi gruppe gruppen groep グループ",
    "name": "name namen nom nome naam 名 名前",
    "spent": (
        "spend spent cost costs kosten coste costes costo costi custo custos cout couts gasto gastos gastado depense "
        "depenses depensee speso spesa spese ausgabe ausgaben ausgegeben ausgegebener invertido inversion investido "
        "investimento investissement besteed uitgaven 費用 コスト 消化 利用 ご利用"
    ),
    "amount": "amount betrag montant importe importo bedrag 金額",
    "impression": (
        "impression impressions impr impresion impresiones impressao impressoes impressioni impressionen einblendungen "
        "インプレッション 表示"
    ),
    "click": "click clicks clic clics clique cliques klick klicks klikken クリック",
    "link": "link links lien enlace enlaces destination destino destinazione ziel bestemming リンク 遷移先",
    "conversion": (
        "conversion conversions conversiones conversioni conversione conversao conversoes conversie conversies "
        "konversion konversionen conv コンバージョン"
    ),
    "purchase": (
        "purchase purchases achat achats compra compras acquisto acquisti kauf kaufe kaufen aankoop aankopen payment "
        "payments paiement paiements pago pagos pagamento pagamentos pagamenti zahlung zahlungen 購入"
    ),
    "value": "value values valor valores valeur valeurs wert werte valore valori waarde 値 額",
    "revenue": (
        "revenue revenues revenu revenus ingreso ingresos receita receitas ricavo ricavi erlos erlose umsatz umsatze "
        "収益 売上 売上高"
    ),
    "": (
        "total totals totale totales totaux totali totais gesamt gesamter gesamte totaal 合計 全体 number "
        "numero nombre anzahl 数 回数 の de del da do dos das di des du d dei degli delle della la le les l "
        "el los of the in en em im auf fur von der die den on sur un una um na no nel sul utc "
        "complete completed completo completos completado completados complet complets completati "
        "abgeschlossen abgeschlossene website web site sitio local gregorian gregorianisches gregorienne "
        "gregoriano gregoriana グレゴリオ暦 ist actual real reel"
    ),
}
_MEANING = MappingProxyType({word: meaning for meaning, words in _WORDS.items() for word in words.split()})
"""A word without accents to what it means; to nothing, where it adds none."""
_MEANT = (
    *(("date", "day"), ("date", "by day"), ("date", "date"), ("date", "start date"), ("date", "start report")),
    *(("platform", "platform"), ("planned", "plan budget"), ("planned", "plan spent")),
    *(("campaign", "campaign"), ("campaign", "campaign name"), ("campaign", "campaign group name")),
    *(("campaign", "campaign group"), ("spend", "spent"), ("spend", "amount spent"), ("spend", "value spent")),
    *(("impressions", "impression"), ("clicks", "click link"), ("clicks", "click"), ("conversions", "conversion")),
    *(("conversions", "purchase"), ("conversions", "conversion purchase"), ("revenue", "conversion value")),
    *(("revenue", "conversion purchase value"), ("revenue", "purchase value"), ("revenue", "revenue")),
    *(("revenue", "conversion revenue"), ("revenue", "purchase revenue")),
)
_OF: Mapping[frozenset[str], tuple[str, int]] = MappingProxyType(
    {frozenset(meanings.split()): (column, rank) for rank, (column, meanings) in enumerate(_MEANT)}
)
_RATE = re.compile(r"[/%÷]|\bc[ptro][cmar]\b", re.IGNORECASE)
"""What rates have in their names."""
_JOINTS = ("", "s", "n", "en")
"""Between the words of a compound."""


def is_rate(name: str) -> bool:
    """Whether a name, as it is written, has a sign or a short form of a rate: `Value / conv.`, `CPC (link)`."""
    return _RATE.search(name) is not None


def says_by(words: Iterable[str]) -> bool:
    """Whether one of the words is as `par` in `Coût par clic`."""
    return any(_MEANING.get(_folded(word)) == "by" for word in words)


@lru_cache(maxsize=1 << 14)
def column(name: str) -> tuple[str, int] | None:
    """A history's column and how near a name is to it, 0 nearest; `None`: a word of it is unknown, or it means none.

    Args:
        name: of a column, its currency and unit taken off.
    """
    found: list[str] = []
    for word in re.split(r"[\W_]+", _folded(name)):
        meanings = _meanings(word) if word else ()
        if meanings is None:
            return None
        found += meanings
    return _OF.get(frozenset(found) - {""})


def _folded(text: str) -> str:
    """Without case and accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    # Marks of Latin letters alone: those of kana tell other letters.
    return unicodedata.normalize("NFC", "".join(mark for mark in parts if not "\u0300" <= mark <= "\u036f"))


def _meanings(word: str) -> tuple[str, ...] | None:
    """What a word means, or the words that it is put together from; `None`: none of it is known."""
    if word in _MEANING:
        return (_MEANING[word],)
    least = 3 if word.isascii() else 1
    for size in range(len(word) - least, least - 1, -1):
        if word[:size] not in _MEANING:
            continue
        for joint in _JOINTS if word.isascii() else ("",):
            rest = word[size:].removeprefix(joint)
            if word[size:].startswith(joint) and len(rest) >= least and (after := _meanings(rest)) is not None:
                return (_MEANING[word[:size]], *after)
    return None
