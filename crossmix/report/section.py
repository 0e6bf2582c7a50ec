"""A section of the report is a function in a file of this package that registers it; the page lists what is there.

    GATES = SECTIONS.register(Section(name="gates", order=90, title="The gates", link="Gates", body=_body))

A further step's or gate's section is one such file and no other edit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.pages.render import fragment
from crossmix.registered import Registered

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

HERE = Path(__file__).parent
TASKS = ("split", "journeys", "creators")
"""Every task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the page under a heading of its own."""

    name: str
    """Anchor on the page."""
    order: int
    """Place on the page: sections stand by rising numbers."""
    title: str
    """Heading."""
    link: str
    """What the navigation calls it."""
    tasks: tuple[str, ...] = ("split",)
    """Of whose runs' reports it is a part (`config.task`)."""
    body: Callable[[ReportInputs], Markup | None]
    """The markup below the heading; `None` where this run has no such section."""


SECTIONS: Registered[Section] = Registered("section", "crossmix.report")


def markup(file: str, **values: Any) -> Markup:
    """A section's body from its template beside it."""
    return fragment(HERE / file, **values)


def absent(sentence: str) -> Markup:
    """A body that says what is not there."""
    from markupsafe import Markup

    return Markup("<p>{}</p>").format(sentence)
