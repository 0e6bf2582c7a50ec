"""Further names of columns: other ad platforms' exports, and other languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_MORE = {
    "date": """
        start time, time, дата, день, dzień, data dzień, den, gün, tarih, 日, 일, 날짜, 일자, päivä, nap, zi, ziua, ngày
        """,
    "platform": """
        media, источник, платформа, площадка, platforma, kanał, źródło, reklamní systém, mecra, 媒体, 媒體, 平台, 渠道,
        플랫폼, 매체, alusta, csatorna
        """,
    "campaign": """
        insertion order, кампания, название кампании, kampania, nazwa kampanii, kampaň, název kampaně, kampanya,
        kampanya adı, kampanj, kampanjnamn, kampagnenavn, kampanje, キャンペーン, キャンペーン名, 广告系列, 计划名称,
        캠페인, 캠페인 이름, kampanja
        """,
    "spend": """
        spend in account currency, revenue adv currency, media cost advertiser currency, расход, расходы, затраты,
        стоимость, расход руб, koszt, koszty, wydatki, wydana kwota, cena, náklady, útrata, maliyet, harcama,
        harcanan tutar, kostnad, kostnader, spenderat belopp, forbrug, omkostninger, 消化金額, コスト, 消耗, 花費, 비용,
        지출 금액, kustannus, költség
        """,
    "impressions": """
        paid impressions, displays, показы, wyświetlenia, wyśw, zobrazení, zobr, gösterimler, gösterim, gösterim sayısı,
        visningar, exponeringar, exponer, visninger, eksponeringer, imp, インプレッション, インプレッション数, 展现量,
        展示次数, 曝光量, 노출수, 노출, näyttökerrat, megjelenítések
        """,
    "clicks": """
        pin clicks, outbound clicks, swipe ups, swipes, taps, клики, переходы, kliknięcia, kliknięcia linku, kliknutí,
        prokliky, tıklamalar, tıklama, klick, länkklick, klik, クリック, 点击量, 点击次数, 點擊, 클릭수, 클릭,
        klikkaukset, kattintások
        """,
    "conversions": """
        total conversions checkout, 14 day total orders, 7 day total orders,
        purchase total, total purchases, installs, конверсии, покупки, konwersje, zakupy,
        konverze, nákupy, dönüşümler, dönüşüm, satın almalar, konverteringar, köp, konverteringer, køb, kjøp,
        compras no site,
        コンバージョン数, 購入, 转化数, 转化量, 轉換, 전환수, 전환, 구매, konversiot, konverziók
        """,
    "revenue": """
        total order value checkout, purchases value, 14 day total sales, 7 day total sales, total sales,
        purchases sale amount, sale amount, order value, доход, доход руб, выручка,
        ценность конверсий, wartość konwersji,
        wartość konw, przychód, hodnota konverzí, hodnota konv, tržby, dönüşüm değeri, gelir,
        konverteringsvärde, konv värde,
        intäkter, konverteringsværdi, omsætning, konverteringsverdi, valor de conversão da compra,
        valor de conversão de compras, コンバージョン値, コンバージョン値の合計, 成交金额, 转化价值, 轉換價值,
        전환 가치,
        전환가치, 매출, konversioarvo, konverziós érték
        """,
}
MORE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {column: tuple(" ".join(name.split()) for name in names.split(",")) for column, names in _MORE.items()}
)
"""As `columns.SYNONYMS`, whose names stand before these. A name may hold no sign (`columns.plain`)."""
