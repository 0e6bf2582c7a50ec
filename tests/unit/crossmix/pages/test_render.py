"""The base template: what every page has, and that everything is escaped but charts and fragments."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from crossmix.pages.render import fragment, render
from crossmix.pages.table import Cell, Table, gate_table

PAGE = """{% extends "base.html.j2" %}
{% import "macros.html.j2" as look %}
{% block title %} · test{% endblock %}
{% block style %}.own { color: red; }{% endblock %}
{% block headline %}{{ name }}{% endblock %}
{% block header %}{{ look.keys(keys, "95 %", "no interval") }}{{ look.generated_badge(generated) }}{% endblock %}
{% block main %}{{ look.table(table) }}
{{ look.fig(chart, "caption") }}{{ look.legend([("a", "#fff")]) }}{{ 0.5 | percent }}{% endblock %}
"""
KEYS = [
    {"title": "ROI", "mean": "1.2", "interval": "1 to 2", "meaning": "revenue / planned"},
    {"title": "CPA", "mean": "3", "interval": "", "meaning": "spend / conversion"},
]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "page.html.j2"
    file.write_text(PAGE, encoding="utf-8")
    return file


def given(**changed: object) -> dict[str, object]:
    table = Table(
        "<i>", ("", "<b>"), ((Cell("row"), Cell("1", "num", "small")), (Cell("two"), Cell("ok", "chip pass")))
    )
    values = {"name": "a", "keys": KEYS, "generated": True, "table": table, "chart": Markup("<svg></svg>")}
    return values | {"sections": [("data", "Data")]} | changed


def test_a_page_has_the_frame_the_style_and_its_blocks(template: Path) -> None:
    text = render(template, **given())
    assert text.startswith("<!doctype html>")
    assert "<title>crossmix · test</title>" in text
    assert '<meta name="viewport" content="width=device-width' in text
    assert "--accent: #0b62a8" in text
    assert text.index("--accent") < text.index(".own { color: red; }") < text.index("</style>")
    assert '<a href="#data">Data</a>' in text
    assert "<h1>a</h1>" in text
    assert "50.0\u202f%" in text
    assert "95 %: 1 to 2" in text
    assert "no interval" in text
    assert "GENERATED DATA" in text
    assert "GENERATED DATA" not in render(template, **given(generated=False))


def test_what_is_given_is_escaped_and_charts_are_not(template: Path) -> None:
    text = render(template, **given(name="<script>", chart=Markup("<svg></svg>")))
    assert "<h1>&lt;script&gt;</h1>" in text
    assert '<figure class=""><svg></svg><figcaption>' in text
    assert "&lt;svg" in render(template, **given(chart="<svg>"))
    assert "&lt;b&gt;" in text
    assert "&lt;i&gt;" in text


def test_a_name_that_is_not_given_is_an_error(template: Path) -> None:
    values = given()
    del values["keys"]
    with pytest.raises(UndefinedError, match="keys"):
        render(template, **values)


def test_a_fragment_is_printed_as_it_is_and_its_values_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "part.html.j2").write_text("<p>{{ text }}</p>", encoding="utf-8")
    (tmp_path / "whole.html.j2").write_text("{{ part }}", encoding="utf-8")
    part = fragment(tmp_path / "part.html.j2", text="<&>")
    assert render(tmp_path / "whole.html.j2", part=part) == "<p>&lt;&amp;&gt;</p>"


def test_tables_mark_numbers_and_chips(template: Path) -> None:
    text = render(template, **given())
    assert '<th scope="col" class="num">&lt;b&gt;</th>' in text
    assert '<td class="num">1<small>small</small></td>' in text
    assert '<td><span class="chip pass">ok</span></td>' in text


def test_the_gate_table() -> None:
    gate = {"name": "policy.limits", "value": 0.5, "threshold": "> 0", "verdict": "insufficient data", "detail": None}
    table = gate_table([gate])
    assert [cell.text for cell in table.rows[0]] == ["policy.limits", "insufficient data", "0.500", "> 0", ""]
    assert table.rows[0][1].kind == "chip insufficient-data"
