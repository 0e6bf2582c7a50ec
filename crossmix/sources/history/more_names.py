"""Further names of columns: other ad platforms' exports, and other languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_MORE = {
    "date": """
        diena, päev, ден, дата на отчета, दिन, तारीख, tarikh, zile, diena datums, kuupäev, hari ini,
        start time, time, date range start, 일별,
        дата, день, dzień, data dzień, den, gün, tarih, 日, 일, 날짜, 일자, päivä, nap, zi, ziua,
        ngày, hari, tanggal, วัน, วันที่, יום, תאריך, اليوم, التاريخ, ημέρα, ημερομηνία, dan, datum dan, deň,
        dátum, data zi, kw, cw, calendar week, sem, uge, vecka, uke, tydzień, týden, týdeň, týždeň, viikko, hét, hafta,
        неделя, тиждень, 周, 週, 주
        """,
    "platform": """
        platvorm, प्लेटफ़ॉर्म, चैनल, saluran, platformos, platformas, канал за реклама,
        media, источник, платформа, площадка, platforma, kanał, źródło, reklamní systém, mecra, 媒体, 媒體, 平台, 渠道,
        플랫폼, 매체, alusta, csatorna,
        data source name, traffic source, media source pid, channel name, platformă, canal de marketing,
        πλατφόρμα, פלטפורמה, المنصة, nền tảng, kênh, แพลตฟอร์ม, канал
        """,
    "campaign": """
        kampaņa, kampaania, kampanija, кампания име, अभियान, kempen,
        insertion order, кампания, название кампании, kampania, nazwa kampanii, kampaň, název kampaně, kampanya,
        kampanya adı, kampanj, kampanjnamn, kampagnenavn, kampanje, キャンペーン, キャンペーン名, 广告系列, 计划名称,
        캠페인, 캠페인 이름, kampanja,
        campanie, καμπάνια, קמפיין, الحملة, chiến dịch, kampanye, แคมเปญ, кампанія
        """,
    "spend": """
        hinta, strošek, stroški, kaina, išlaidos, kulu, izmaksas, разход, разходи, похарчена сума, लागत,
        खर्च की गई रकम, kos, 费用, 花费金额, 支出, 花費金額, потрачено, сума витрат, потрачена сума, käytetty summa,
        elköltött összeg, utrošeni iznos, potrošena suma, menovitá cena, brugt beløb, beløb brugt, beløp
        brukt, bestede bedrag,
        spend in account currency, revenue adv currency, media cost advertiser currency, расход, расходы, затраты,
        стоимость, расход руб, koszt, koszty, wydatki, wydana kwota, cena, náklady, útrata, maliyet, harcama,
        harcanan tutar, kostnad, kostnader, spenderat belopp, forbrug, omkostninger, 消化金額, コスト, 消耗, 花費, 비용,
        지출 금액, kustannus, költség,
        advertiser cost, advertiser cost adv currency, media cost adv currency, 총비용 vat포함 원,
        adn cost, local spend amount, local spend, amount spent total, sum cost,
        cheltuieli, suma cheltuită, κόστος, δαπάνη, עלות, הוצאה,
        الإنفاق, المصروفات, التكلفة, المبلغ الذي تم إنفاقه, chi phí, số tiền đã chi tiêu, biaya,
        jumlah yang dibelanjakan,
        ค่าใช้จ่าย, จำนวนเงินที่ใช้ไป, витрати, вартість, trošak, potrošnja, 消费, 광고비, 총비용
        """,
    "impressions": """
        prikazi, parodymai, näitamised, rādījumi, seansi, импресии, इंप्रेशन, tera, 曝光次數, 展示數, imprese,
        impression, imprimări,
        paid impressions, weergaven,
        displays, показы, wyświetlenia, wyśw, zobrazení, zobr, gösterimler, gösterim, gösterim sayısı,
        visningar, exponeringar, exponer, visninger, eksponeringer, imp, インプレッション, インプレッション数, 展现量,
        展示次数, 曝光量, 노출수, 노출, näyttökerrat, megjelenítések,
        imprs, adn impressions, afișări, εμφανίσεις, חשיפות, مرات الظهور, số lượt hiển thị, lượt hiển thị,
        tayangan, การแสดงผล, จำนวนการแสดงผล, покази, pojavljivanja, prikazivanja, zobrazenia, 展现, 展示
        """,
    "clicks": """
        kliki, paspaudimai, klikid, klikšķi, кликвания, кликове, क्लिक, klik pada tautan, 點擊次數, 連結點擊次數,
        clicuri pe link, linkklik, lenkeklikk, länkklick, kliknutia na odkaz,
        bağlantı tıklamaları, klikken op link,
        pin clicks, outbound clicks, swipe ups, swipes, taps, клики, переходы, kliknięcia, kliknięcia linku, kliknutí,
        prokliky, tıklamalar, tıklama, klick, länkklick, klik, クリック, 点击量, 点击次数, 點擊, 클릭수, 클릭,
        klikkaukset, kattintások,
        paid clicks, adn clicks, clicuri, κλικ, קליקים, הקלקות, النقرات, số lượt nhấp, lượt nhấp, คลิก,
        จำนวนคลิก, кліки, klikk, klikker, klikovi, kliknutia, 点击
        """,
    "conversions": """
        konversijos, konversioonid, konversijas, konverzija, реализации, конверсии от реклама, रूपांतरण,
        penukaran, pembelian, 轉換次數, 購買次數, ostot, vásárlások, kupovine, kupnje, покупки на сайта, achiziții
        pe site,
        total conversions checkout, 14 day total orders, 7 day total orders,
        purchase conversions, purchase click count, total click view conversions, installs tap through,
        sales all pc30d,
        purchase total, external website conversions, conversion purchases, total installs,
        total purchases, installs, конверсии, покупки, konwersje, zakupy,
        konverze, nákupy, dönüşümler, dönüşüm, satın almalar, konverteringar, köp, konverteringer, køb, kjøp,
        compras no site,
        コンバージョン数, 購入, 转化数, 转化量, 轉換, 전환수, 전환, 구매, konversiot, konverziók,
        installs total, conversii, achiziții, μετατροπές, המרות, التحويلات, lượt chuyển đổi, chuyển đổi,
        số chuyển đổi, konversi,
        การแปลง, конверсії, konverzije, konverzie, 转化次数, 转化, 구매완료, 구매 완료
        """,
    "revenue": """
        valor conv, conv waarde, aankoopwaarde, konv arvo, цінність конв, vrijednost konv, vrednost konv,
        vrednost konverzij, konv vertė, konversijos vertė, konv väärtus, konversiooni väärtus, konv vērtība,
        стойност, стойност на реализациите, стойност на конверсиите, रूपांतरण मान, nilai konv, nilai
        penukaran, nilai konversi pembelian, conversion wert von käufen, valor de conversión de las compras,
        valore di conversione degli acquisti, valore di conversione acquisti, valor conversión, valor de las
        conversiones, valor das conversões, 購買轉換值, 转换价值, købskonverteringsværdi, köpkonverteringsvärde,
        ostojen konversioarvo,
        total conversions revenue, total conversions value, total revenue adv currency, cm360 revenue,
        revenue generated all pc30d, purchase total value, wartość konwersji zakupu, satın alma dönüşüm değeri,
        konv verdi,
        konverteringsverdi for kjøp, conversiewaarde van aankopen, valeur de conversion des achats,
        valor de conversión de compras, 전환매출액, 購入額, 購入金額,
        total order value checkout, conversion value in local currency, conversion purchases value,
        purchases value, 14 day total sales, 7 day total sales, total sales,
        purchases sale amount, sale amount, order value, доход, доход руб, выручка,
        ценность конверсий, wartość konwersji,
        wartość konw, przychód, hodnota konverzí, hodnota konv, tržby, dönüşüm değeri, gelir,
        konverteringsvärde, konv värde,
        intäkter, konverteringsværdi, omsætning, konverteringsverdi, valor de conversão da compra,
        valor de conversão de compras, コンバージョン値, コンバージョン値の合計, 成交金额, 转化价值, 轉換價值,
        전환 가치,
        전환가치, 매출, konversioarvo, konverziós érték,
        sum value, order revenue, attributed rev, total attributed sales, valoarea conversiilor, valoarea
        conv, αξία μετατροπών, αξία μετατρ, ערך המרה, ערך המרות, قيمة التحويل, giá trị chuyển đổi, nilai
        konversi, มูลค่า conversion, มูลค่า conv, цінність конверсій, vrijednost konverzija, hodnota
        konverzií, 成交额, 구매금액, 구매 금액
        """,
}
MORE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        column: tuple(dict.fromkeys(" ".join(re.sub(r"[\W_]+", " ", name).split()) for name in names.split(",")))
        for column, names in _MORE.items()
    }
)
"""As `columns.SYNONYMS`, whose names stand before these. Signs and marks in a name go,
        as in a header (`columns.plain`)."""
