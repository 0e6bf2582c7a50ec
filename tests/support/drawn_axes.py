"""Where the panels of a drawn chart begin and end."""

from __future__ import annotations

from xml.etree import ElementTree

from crossmix.pages.charts import MUTED


def feet(svg: str) -> list[tuple[float, float]]:
    """Left and right end of each panel's horizontal axis, from the top down."""
    lines = (one.attrib for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("line"))
    axes = [one for one in lines if one.get("stroke-width") == "0.9" and one["stroke"] == MUTED]
    across = [one for one in axes if one["y1"] == one["y2"]]
    return [(float(one["x1"]), float(one["x2"])) for one in sorted(across, key=lambda one: float(one["y1"]))]
