"""The page of a plan: every cell with its figures, what binds, who is bought; whole, and without anything fetched."""

from dataclasses import replace
from pathlib import Path

import pytest

from crossmix.creators import drawn, page
from crossmix.creators.plan import Cell
from tests.support import browser
from tests.support.html_pages import Page, words
from tests.unit.crossmix.creators.test_words import PLAN


def test_a_page_tells_the_plan(tmp_path: Path) -> None:
    text = page.render(PLAN, tmp_path / "plan.html", generated=True)
    assert (tmp_path / "plan.html").read_text() == text
    parsed, told = Page(text), words(text)
    assert parsed.open == []
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    assert "1 creator for 99\u202f000 EUR should add 20\u202f000, 18\u202f000 to 22\u202f000." in told
    assert "GENERATED DATA" in told
    assert "tiktok <= 0.4 of spend: 1\u202f000 EUR of relief would add about 100 (0.5\u202f%)" in told
    assert "Not binding: tail >= 0.1 of spend." in told
    assert "next in: c2 (tiktok, mid)" in told
    assert "GENERATED" not in page.render(PLAN)


def test_names_are_escaped() -> None:
    evil = "<script>x</script>"
    text = page.render(replace(PLAN, brief=evil, cells=(Cell(evil, evil, evil, 1, 5, 1, 1, 1),)))
    assert "<script" not in text
    assert Page(text).open == []


def test_the_darkest_cell_has_most_money_and_an_empty_one_is_dashed() -> None:
    cells = (
        Cell("a", "p", "t", 2, 100, 10, 5, 15),
        Cell("a", "q", "t", 1, 50, 6, 3, 9),
        Cell("b", "p", "t", 0, 0, 0, 0, 0),
        Cell("b", "q", "t", 0, 30, 0, 0, 0),
    )
    svg = str(drawn.matrix(replace(PLAN, cells=cells, cost=150)))
    for opacity in ("0.560", "0.310", "0.210"):
        assert svg.count(f'fill-opacity="{opacity}"') == 1
    assert svg.count("stroke-dasharray") == 1
    assert "2 · 100" in svg
    assert ">30<" in svg
    assert "a p t: 2 creators for 100" in svg


@browser.needed
@pytest.mark.slow
def test_it_fits_a_phone_and_a_desk_in_both_themes(tmp_path: Path) -> None:
    page.render(PLAN, tmp_path / "plan.html", generated=True)
    with browser.chromium(tmp_path) as shown:
        for width, dark in ((360, False), (1200, True)):
            shown.dark(dark)
            shown.open((tmp_path / "plan.html").as_uri(), width)
            assert shown.complaints == []
            assert shown.value("document.documentElement.scrollWidth") <= width
            assert shown.accessibility() == []
