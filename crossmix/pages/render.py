"""The one template environment: pages extend `base.html.j2`, draw with `macros.html.j2`, and share `style.css`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent


def render(template: Path, **values: Any) -> str:
    """A page, or a fragment of one, from a template file.

    Everything is escaped but what is `Markup` already (charts, fragments); a name that is not given is an error. The
    formatters of `crossmix.pages.format` are filters of their names. No page fetches anything or runs a script.
    """
    return _environment(template.parent).get_template(template.name).render(values)


def fragment(template: Path, **values: Any) -> Markup:
    """A part of a page, which another template may print as it is."""
    from markupsafe import Markup

    return Markup(render(template, **values))  # the template has escaped what it was given


@cache
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from crossmix.pages import format as formats

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    amounts = (formats.number, formats.count, formats.money)
    for form in (*amounts, formats.percent, formats.share, formats.change, formats.moment):
        environment.filters[form.__name__] = form
    return environment
