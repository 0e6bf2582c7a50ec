"""The page of an answer: self-contained, and it names what it shows."""

from __future__ import annotations

import re
from dataclasses import replace

from crossmix import whatif
from crossmix.evaluate.decision.standing import Standing
from crossmix.pages.format import number
from crossmix.whatif.page import _headline, render
from tests.support.html_pages import Page
from tests.support.scenes import P


def test_the_page_is_self_contained_and_names_what_it_shows(answer: whatif.WhatIf) -> None:
    page = render(answer)
    assert "GENERATED DATA" in page
    assert "per cycle of 24 hours" in page
    assert "USD" in page
    assert page.count("<svg") == 2 + 3 * P
    for outside in ("<script", "src=", "@import", "url(http", "<link"):
        assert outside not in page
    assert "is out of reach" in page
    assert "is met at any budget" in page
    assert "cap<small>raise it" in page
    real = render(replace(answer, generated=False))
    assert "GENERATED" not in real
    assert "<b>generated</b>" not in real


def test_an_interval_around_nothing_gained_is_said_to_be_within_the_error(answer: whatif.WhatIf) -> None:
    today = answer.budgets[0]
    sure = replace(today, gain=replace(today.gain, value=10.0, low=5.0, high=15.0))
    unsure = replace(today, gain=replace(today.gain, value=10.0, low=-5.0, high=25.0))
    part = f"{number(1_000 / today.today.revenue.value)}\u202f% more"
    assert f"should earn {part} than today’s split" in render(replace(answer, budgets=(sure, *answer.budgets[1:])))
    # What may earn a lot more is not known; only a split that can earn at most 1 % more is not worth a change.
    open_ = _headline(replace(answer, budgets=(unsure, *answer.budgets[1:])))
    assert open_.startswith("Whether another split of ")
    assert open_.endswith(f"earns more is not known: the best one should earn {part}, within the fitting error.")
    most = 0.01 * today.today.revenue.value
    idle = replace(today, gain=replace(today.gain, value=most / 2, low=-most, high=most))
    assert "can hardly be bettered" in _headline(replace(answer, budgets=(idle, *answer.budgets[1:])))
    for word, told in (("plausible", f"{part} than today’s split, by the fit alone; it is not proved."),
                       ("proved", f"{part} than today’s split.")):  # fmt: skip
        of = replace(answer, budgets=(sure, *answer.budgets[1:]), standing=Standing(word, "", None))  # type: ignore[arg-type]
        assert _headline(of).endswith(told)


def test_budgets_stand_in_order_and_today_is_marked(answer: whatif.WhatIf) -> None:
    page = render(answer)
    rows = re.findall(r'<th scope="row" class="num( own)?">[^<]*<small>([^<]*)</small>', page)
    assert rows == [("", "−20%"), (" own", "today"), ("", "+20%"), ("", "+30%")]


def test_every_section_that_is_linked_is_there(answer: whatif.WhatIf) -> None:
    parsed = Page(render(answer))
    assert not parsed.open
    sections = {
        "budgets",
        "targets",
        "split",
        "limits",
        "curves",
        "measured",
        "covers",
    }
    assert {link[1:] for link in parsed.links} == sections
    assert {link[1:] for link in parsed.links} <= set(parsed.ids)
    bare = Page(render(replace(answer, targets=(), perturbations=())))
    assert not {"targets", "measured"} & ({link[1:] for link in bare.links} | set(bare.ids))


def test_names_are_escaped(answer: whatif.WhatIf) -> None:
    page = render(replace(answer, campaign="<script>alert(1)</script>"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
