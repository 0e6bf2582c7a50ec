"""A section is one file: it is found by the page, in its place, with its link; nothing else is edited."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import crossmix.report
from crossmix.registered import declared
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from crossmix.report.section import SECTIONS
from tests.support.html_pages import Page

NEW = """
from markupsafe import Markup

from crossmix.report.section import SECTIONS, Section


def _body(inputs):
    return Markup("<p>{}</p>").format(sorted(inputs.folders)) if inputs.folders else None


WEATHER = SECTIONS.register(Section(name="weather", order=15, title="The <weather>", link="Weather", body=_body))
"""


@pytest.fixture
def weather(tmp_path: Path) -> Iterator[None]:
    """A file more in the package."""
    (tmp_path / "weather.py").write_text(NEW)
    crossmix.report.__path__.append(str(tmp_path))
    declared.cache_clear()
    yield
    crossmix.report.__path__.remove(str(tmp_path))
    declared.cache_clear()
    SECTIONS._things.pop("weather", None)
    sys.modules.pop("crossmix.report.weather", None)


def test_a_new_section_is_one_file(weather: None, tmp_path: Path) -> None:
    page = render(ReportInputs(folders={"watch": tmp_path}))
    assert "<h2>The &lt;weather&gt;</h2>" in page
    assert "<p>[&#39;watch&#39;]</p>" in page
    assert '<a href="#weather">Weather</a>' in page
    ids = Page(page).ids
    assert ids.index("result") < ids.index("weather") < ids.index("data")


def test_a_section_that_a_run_does_not_have_is_left_out_with_its_link(weather: None) -> None:
    page = render(ReportInputs())
    assert "weather" not in page
    assert "alignment" not in Page(page).ids


def test_every_section_has_a_place_of_its_own() -> None:
    orders = [section.order for section in SECTIONS.all()]
    assert len(set(orders)) == len(orders)
