"""The one kit of charts: panels of axes and marks that become inline SVG in the page's light or dark theme.

A `Chart` holds panels; a panel finds its margins from its tick labels, draws its marks in the order of the calls and
cuts off what lies beyond its scales. It is text only: no plotting library is imported, so that the server draws with it
at every request, and equal data give equal bytes.

Colours: Tol's muted scheme for platforms and one blue against greys elsewhere, both safe for colour-blind readers;
dashes and markers say the same again. Lengths are units of the view box; at `WIDTH` a chart fills a phone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

from crossmix.pages.scales import Axis, Scale
from crossmix.pages.shapes import FONT, Box, Marker, Point, marker, path, runs, segment, text, text_width, written

THEME = {
    "ink": "#1b1f24",
    "muted": "#5d6570",
    "line": "#dde1e6",
    "paper": "#fdfdfc",
    "accent": "#0b62a8",
    "warm": "#b4540a",
}
"""Names of the page's colours, and what they are where there is no page."""
INK, MUTED, LINE, PAPER, ACCENT, WARM = (f"var(--{name})" for name in THEME)
PLATFORM_COLOURS = (
    "#4b3fa0",
    "#88ccee",
    "#44aa99",
    "#117733",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#aa4499",
    "#999933",
    "#b8bcc2",
)
WIDTH, HEIGHT = 460.0, 300.0
SMALL = (230.0, 190.0)
"""Width and height of a chart of which two stand side by side on a phone."""
DASHES, DOTS = "6 4", "1.5 3"


class Chart:
    """One SVG of panels."""

    def __init__(self, label: str, width: float = WIDTH, height: float = HEIGHT) -> None:
        """`label`: what a screen reader says."""
        self.label, self.width, self.height = label, width, height
        self.panels: list[Panel] = []

    def panel(
        self,
        x: Axis,
        y: Axis,
        *,
        area: Box | None = None,
        gutter: float | None = None,
        above: Axis | None = None,
        head: float = 7.0,
        square: bool = False,
    ) -> Panel:
        """A panel with axes.

        Args:
            area: where it and its labels lie; the whole chart if absent.
            gutter: room for the labels of `y`, where several panels are to line up; what they need if absent.
            above: a second axis on top, over the same width.
            head: room above for notes.
            square: as high as wide, in the middle.
        """
        left, top, right, bottom = area or (0.0, 0.0, self.width, self.height)
        left += text_width([label for _, label in y.marks()]) + 8 if gutter is None else gutter
        left += FONT + 6 if y.title else 0
        # Half of the last label may reach beyond the box.
        right -= max([6.0, *(text_width([label]) / 2 - 60 * (1 - x.scale.part(at)) for at, label in x.marks()[-1:])])
        bottom -= (FONT + 8 if x.labelled and any(label for _, label in x.marks()) else 2) + (
            FONT + 5 if x.title else 0
        )
        top += FONT + 8 if above else head
        if square:
            side = min(right - left, bottom - top)
            left += (right - left - side) / 2
            right, bottom = left + side, top + side
        panel = Panel((left, top, right, bottom), x, y, above)
        self.panels.append(panel)
        return panel

    def bare(self, box: Box, x: Scale, y: Scale) -> Panel:
        """A panel without axes; its marks may reach beyond its box."""
        panel = Panel(box, Axis(x, ticks=()), Axis(y, ticks=()), framed=False)
        self.panels.append(panel)
        return panel

    def svg(self) -> Markup:
        """As an inline element."""
        body = "".join(panel.svg() for panel in self.panels)
        view = f"0 0 {written(self.width)} {written(self.height)}"
        # Every label in it was escaped where it was written.
        return Markup(
            f'<svg viewBox="{view}" font-size="{FONT}" role="img" aria-label="{escape(self.label)}">{body}</svg>'
        )


def standalone(svg: str) -> str:
    """A chart as a file of its own, in the colours of a light page."""
    colours = "".join(f"--{name}:{colour};" for name, colour in THEME.items())
    style = f"<style>svg{{{colours}background:{THEME['paper']};font-family:system-ui,sans-serif}}</style>"
    head, mark, rest = svg.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"{mark}{style}{rest}\n'


@dataclass
class Panel:
    """Marks over two axes; x and y of every mark are values of their scales."""

    box: Box
    x: Axis
    y: Axis
    above: Axis | None = None
    framed: bool = True
    """Has axes, and cuts off what lies beyond its box."""
    parts: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values lies in the chart."""
        left, top, right, bottom = self.box
        return left + self.x.scale.part(x) * (right - left), bottom - self.y.scale.part(y) * (bottom - top)

    def line(self, x: Iterable[float], y: Iterable[float], colour: str, *, width: float = 2.0, dash: str = "") -> None:
        """A line through the points, interrupted where one is not finite; a point alone is a dot."""
        points = [self.at(a, b) if math.isfinite(a) and math.isfinite(b) else None for a, b in zip(x, y, strict=True)]
        known = [point for point in points if point is not None]
        if len(known) == 1:
            self.parts.append(marker("circle", self._held(*known[0]), 1.5 * width, f'fill="{colour}"'))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        for run in runs(points, self.box if self.framed else None):
            self.parts.append(
                f'<polyline points="{path(run)}" fill="none" stroke="{colour}" stroke-width="{written(width)}"'
                f'{dashed} stroke-linejoin="round"/>'
            )

    def band(
        self, x: Iterable[float], low: Iterable[float], high: Iterable[float], colour: str, opacity: float
    ) -> None:
        """The area between two lines."""
        known = [row for row in zip(x, low, high, strict=True) if all(math.isfinite(value) for value in row)]
        if known:
            self._layer(known, f'fill="{colour}" opacity="{opacity:g}"')

    def stack(self, x: Iterable[float], y_PT: Iterable[Iterable[float]]) -> None:
        """Layers on top of each other in the platforms' colours, the first at the bottom; one x alone is a column."""
        across, layers = list(x), [list(row) for row in y_PT]
        if len(across) == 1:
            across, layers = [across[0] - 0.25, across[0] + 0.25], [row * 2 for row in layers]
        under = [0.0] * len(across)
        for index, row in enumerate(layers):
            over = [below + own for below, own in zip(under, row, strict=True)]
            look = f'fill="{platform_colour(index)}" stroke="{PAPER}" stroke-width=".5"'
            self._layer(list(zip(across, under, over, strict=True)), look)
            under = over

    def bars(
        self, x: Iterable[float], y: Iterable[float], colour: str, *, width: float = 0.7, hollow: Iterable[bool] = ()
    ) -> None:
        """A column from 0 at each finite value, so wide in values of x; hollow: dashes around, for what may change.

        Args:
            hollow: of each; none if absent.
        """
        solid = f'fill="{colour}"'
        open_ = f'class="open" fill="{colour}" fill-opacity=".16" stroke="{colour}" stroke-dasharray="2.5 2"'
        which = list(hollow)
        for index, (a, b) in enumerate(zip(x, y, strict=True)):
            if math.isfinite(b):
                left, foot = self._held(*self.at(a - width / 2, 0.0))
                right, top = self._held(*self.at(a + width / 2, b))
                outline = [(left, foot), (left, top), (right, top), (right, foot)]
                self.area(outline, open_ if which and which[index] else solid)

    def area(self, points: Sequence[Point], look: str) -> None:
        """A filled outline; points of the chart, not values."""
        self.parts.append(f'<polygon points="{path(points)}" {look}/>')

    def dots(
        self,
        x: Iterable[float],
        y: Iterable[float],
        colour: str | Sequence[str],
        *,
        shape: Marker = "circle",
        size: float = 4.0,
        hollow: bool = False,
        fill: str = "none",
        kind: str = "",
    ) -> None:
        """A marker at each point; what lies beyond the box sits at its edge.

        Args:
            colour: one, or one each.
            hollow: only its outline, around `fill`; without one another mark at the same place shows through.
            kind: CSS class.
        """
        for index, (a, b) in enumerate(zip(x, y, strict=True)):
            if math.isfinite(a) and math.isfinite(b):
                ink = colour if isinstance(colour, str) else colour[index]
                look = f'fill="{fill}" stroke="{ink}" stroke-width="1.8"' if hollow else f'fill="{ink}"'
                centre = self._held(*self.at(a, b)) if self.framed else self.at(a, b)
                self.parts.append(marker(shape, centre, size, look, kind))

    def level(self, y: float, colour: str = MUTED, dash: str = DOTS) -> None:
        """A horizontal line across the box, where it lies within."""
        left, _, right, _ = self.box
        if 0 <= self.y.scale.part(y) <= 1:
            height = self.at(self.x.scale.low, y)[1]
            self.parts.append(segment((left, height), (right, height), colour, 1.2, dash))

    def upright(self, x: float, colour: str = MUTED, dash: str = DOTS) -> None:
        """A vertical line across the box, where it lies within."""
        _, top, _, bottom = self.box
        if 0 <= self.x.scale.part(x) <= 1:
            across = self.at(x, self.y.scale.low)[0]
            self.parts.append(segment((across, top), (across, bottom), colour, 1.2, dash))

    def note(
        self,
        x: float,
        y: float,
        label: str,
        colour: str = MUTED,
        *,
        anchor: str = "start",
        lift: float = 0.0,
        bold: bool = False,
    ) -> None:
        """Text at a pair of values, so much above it."""
        right, down = self.at(x, y)
        self.parts.append(text((right, down - lift), label, anchor, colour, bold=bold))

    def legend(self, entries: Sequence[tuple[str, str, str]], *, right: bool = False, low: bool = False) -> None:
        """Names with their marks in a corner; entries: name, colour, and a dash, "circle" or "diamond"."""
        left, top, edge, bottom = self.box
        start = edge - text_width([name for name, *_ in entries]) - 34 if right else left + 10
        first = bottom - 10 - 17 * (len(entries) - 1) if low else top + 14
        for index, (name, colour, mark) in enumerate(entries):
            self._named((start, first + 17 * index), name, colour, mark)

    def names_above(self, entries: Sequence[tuple[str, str]]) -> None:
        """Names with lines of their colours, in rows above the box; the panel's head has `head_of` for them."""
        left, top, right, _ = self.box
        rows = _rows([name for name, _ in entries], right - left)
        colours, height = dict(entries), top - 10 - 17 * (len(rows) - 1)
        for index, row in enumerate(rows):
            for name, start in row:
                self._named((left + start, height + 17 * index), name, colours[name], "")

    def _named(self, place: Point, name: str, colour: str, mark: str) -> None:
        """A name of a legend behind its mark."""
        start, height = place
        if mark in ("circle", "diamond"):
            shape: Marker = "circle" if mark == "circle" else "diamond"
            self.parts.append(marker(shape, (start + 11, height - 4), 4, f'fill="{colour}"'))
        else:
            self.parts.append(segment((start, height - 4), (start + 22, height - 4), colour, 2, mark))
        self.parts.append(text((start + 28, height), name, "start", INK))

    def svg(self) -> str:
        """Grid, marks and axes."""
        return "".join([*self._grid(), *self.parts, *self._labels()]) if self.framed else "".join(self.parts)

    def _grid(self) -> Iterator[str]:
        left, top, right, bottom = self.box
        for value, _ in self.y.marks() if self.y.grid else ():
            height = self.at(self.x.scale.low, value)[1]
            yield segment((left, height), (right, height), LINE, 0.8)
        for value, _ in self.x.marks() if self.x.grid else ():
            across = self.at(value, self.y.scale.low)[0]
            yield segment((across, top), (across, bottom), LINE, 0.8)

    def _labels(self) -> Iterator[str]:
        left, top, right, bottom = self.box
        yield segment((left, bottom), (right, bottom), MUTED, 0.9)
        yield segment((left, top), (left, bottom), MUTED, 0.9)
        for value, label in self.y.marks():
            height = self.at(self.x.scale.low, value)[1]
            yield text((left - 6, height + 0.35 * FONT), label, "end", self.y.ink(value))
        for value, label in self.x.marks() if self.x.labelled else ():
            yield text((self.at(value, self.y.scale.low)[0], bottom + FONT + 4), label, "middle", self.x.ink(value))
        if self.x.title:
            yield text(((left + right) / 2, bottom + 2 * FONT + 9), self.x.title, "middle", INK)
        if self.y.title:
            room = text_width([label for _, label in self.y.marks()]) + 14
            yield text((left - room, (top + bottom) / 2), self.y.title, "middle", INK, upwards=True)
        for value, label in self.above.marks() if self.above else ():
            across = left + self.above.scale.part(value) * (right - left) if self.above else left
            yield text((across, top - 5), label, "middle", MUTED, size=0.85 * FONT)

    def _layer(self, rows: Sequence[tuple[float, float, float]], look: str) -> None:
        """The area between two lines of (x, lower, upper), cut to the box."""
        left, right = sorted((self.x.scale.low, self.x.scale.high))
        inside = [row for row in rows if left <= row[0] <= right]
        # Where the lines cross an edge they are cut there, or the last piece within would bend.
        cuts = [
            tuple(
                one + (edge - row[0]) / (after[0] - row[0]) * (two - one) for one, two in zip(row, after, strict=True)
            )
            for row, after in pairwise(rows)
            for edge in (left, right)
            if min(row[0], after[0]) < edge < max(row[0], after[0])
        ]
        kept = sorted([*inside, *cuts])
        there = [self._held(*self.at(at, upper)) for at, _, upper in kept]
        back = [self._held(*self.at(at, lower)) for at, lower, _ in reversed(kept)]
        self.area(there + back, look)

    def _held(self, x: float, y: float) -> Point:
        """The nearest place within the box."""
        left, top, right, bottom = self.box
        return min(max(x, left), right), min(max(y, top), bottom)


def head_of(names: Sequence[str], width: float) -> float:
    """Room above a panel, so wide at least, for the rows of `names_above`."""
    return 10.0 + 17.0 * len(_rows(names, width))


def _rows(names: Sequence[str], width: float) -> list[list[tuple[str, float]]]:
    """Names side by side, with where each begins, in as many rows as they take."""
    rows: list[list[tuple[str, float]]] = [[]]
    end = 0.0
    for name in names:
        wide = text_width([name]) + 28
        if rows[-1] and end + wide > width:
            rows.append([])
            end = 0.0
        rows[-1].append((name, end))
        end += wide + 14
    return rows


def platform_colour(index: int) -> str:
    """Of the platform that stands at this place."""
    return PLATFORM_COLOURS[index % len(PLATFORM_COLOURS)]


def platform_legend(platforms: Sequence[str]) -> list[tuple[str, str]]:
    """Name and colour of each platform."""
    return [(name, platform_colour(index)) for index, name in enumerate(platforms)]


def shade(stops: Sequence[str], part: float) -> str:
    """The colour at a part, 0 to 1, of the way through hexadecimal colours."""
    way = min(max(part, 0.0), 1.0) * (len(stops) - 1)
    first = min(int(way), len(stops) - 2)
    pairs = [[int(stop[start : start + 2], 16) for stop in stops[first : first + 2]] for start in (1, 3, 5)]
    return "#" + "".join(f"{round(one + (way - first) * (two - one)):02x}" for one, two in pairs)
