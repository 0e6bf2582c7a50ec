"""The report's look for other pages: its macros and style sheet, read from report.html.j2, so that they stay one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def look(template: Path) -> tuple[Any, str, Template]:
    """The report's macros (`table`, `legend`, `fig`) as a module, its style sheet, and the page's own template.

    Args:
        template: file of the page; it prints what comes as `| figure` unescaped, and everything else escaped.

    Raises:
        RuntimeError: the report's template is no longer laid out as this reads it.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = Markup
    source = (Path(__file__).parents[1] / "report" / "report.html.j2").read_text(encoding="utf-8")
    macros, mark, rest = source.partition("<!doctype html>")
    style = rest.partition("<style>")[2].partition("</style>")[0]
    if not (mark and style):
        raise RuntimeError("report.html.j2: its macros or its style sheet are not where other pages look for them")
    return environment.from_string(macros).module, style, environment.get_template(template.name)
