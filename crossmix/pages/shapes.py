"""SVG elements from places in a chart: segments, markers, text, and lines cut to a box. Labels are escaped here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from markupsafe import escape

FONT = 12.5
"""Of all text: at a phone's width it stays legible."""
Marker = Literal["circle", "diamond"]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def text_width(labels: Sequence[str], size: float = FONT) -> float:
    """Of the widest, about: no font is measured here."""
    return max((0.57 * size * len(label) for label in labels), default=0.0)


def segment(start: Point, end: Point, colour: str, width: float, dash: str = "") -> str:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{written(x1)}" y1="{written(y1)}" x2="{written(x2)}" y2="{written(y2)}"'
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line {ends} stroke="{colour}" stroke-width="{written(width)}"{dashed}/>'


def marker(shape: Marker, centre: Point, size: float, look: str, kind: str = "") -> str:
    """A circle or diamond of a radius; `look`: attributes of fill and stroke, `kind`: CSS class."""
    x, y = centre
    named = f' class="{escape(kind)}"' if kind else ""
    if shape == "circle":
        return f'<circle{named} cx="{written(x)}" cy="{written(y)}" r="{written(size)}" {look}/>'
    reach = 1.25 * size
    corners = path([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)])
    return f'<polygon{named} points="{corners}" {look}/>'


def text(
    start: Point,
    label: str,
    anchor: str,
    colour: str,
    *,
    bold: bool = False,
    size: float = FONT,
    upwards: bool = False,
) -> str:
    """A label, its lines under each other; `anchor`: start, middle or end; `upwards`: read from below."""
    if not label:
        return ""
    x, y = (written(value) for value in start)
    weight = ' font-weight="600"' if bold else ""
    own = "" if size == FONT else f' font-size="{written(size)}"'
    turn = f' transform="rotate(-90 {x} {y})"' if upwards else ""
    first, *others = (str(escape(part)) for part in label.split("\n"))
    body = first + "".join(f'<tspan x="{x}" dy="{written(1.2 * size)}">{part}</tspan>' for part in others)
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}"{weight}{own}{turn}>{body}</text>'


def path(points: Sequence[Point]) -> str:
    """Points of a polyline or polygon."""
    return " ".join(f"{written(x)},{written(y)}" for x, y in points)


def written(value: float) -> str:
    """One decimal: finer than any screen. Never a negative zero."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def runs(points: Sequence[Point | None], box: Box | None) -> Iterator[list[Point]]:
    """The line in unbroken pieces, each within the box."""
    run: list[Point] = []
    for start, end in pairwise(points):
        piece = None if start is None or end is None else (start, end) if box is None else _within(start, end, box)
        if piece is None:
            if len(run) > 1:
                yield run
            run = []
            continue
        if not run or run[-1] != piece[0]:
            if len(run) > 1:
                yield run
            run = [piece[0]]
        run.append(piece[1])
    if len(run) > 1:
        yield run


def _within(start: Point, end: Point, box: Box) -> tuple[Point, Point] | None:
    """The part of a segment that lies in the box (Liang and Barsky)."""
    (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    first, last = 0.0, 1.0
    for step, room in ((-dx, x - box[0]), (dx, box[2] - x), (-dy, y - box[1]), (dy, box[3] - y)):
        if step == 0:
            if room < -1e-9:
                return None
        elif step < 0:
            first = max(first, room / step)
        else:
            last = min(last, room / step)
    if first > last:
        return None
    from_ = start if first <= 0 else (x + first * dx, y + first * dy)
    to = end if last >= 1 else (x + last * dx, y + last * dy)
    return from_, to
