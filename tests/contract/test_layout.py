"""The state's layout is decoded in `crossmix/state.py` alone: elsewhere its fields are read and written by name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("crossmix", "feature_repo", "serving", "monitoring", "components", "pipelines", "benchmarks")
PUBLIC = {"ALLOCATION", "Field", "KINDS", "Layout", "LayoutError", "weekday_fields", "weekday_index"}
SIZES = {"context_size", "statistics_size", "slots", "platform_fields", "campaign_fields"}


def breaches(source: str) -> list[str]:
    """What of a file decodes a state by hand, in the order of its text.

    Names of `crossmix.state` beyond `PUBLIC`, and positions computed from a layout's sizes or from a field's index.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "crossmix.state":
            found += [(node.lineno, one.name) for one in node.names if one.name not in PUBLIC]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named = node.value.id in ("ALLOCATION", "layout")
            if named and node.attr.startswith("_"):
                found.append((node.lineno, node.attr))
        if isinstance(node, ast.Subscript):
            sizes = [one.attr for one in ast.walk(node.slice) if isinstance(one, ast.Attribute) and one.attr in SIZES]
            found += [(node.lineno, name) for name in sizes]
        if isinstance(node, ast.BinOp):
            found += [(node.lineno, side.func.attr) for side in (node.left, node.right) if _index(side)]
    return [name for _, name in sorted(found)]


def _index(node: ast.expr) -> bool:
    """A call of `Layout.platform`, `.campaign` or `.index` with a field's name."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    holder = ast.unparse(node.func.value)
    return node.func.attr in ("platform", "campaign", "index") and holder.split(".")[-1] in ("ALLOCATION", "layout")


FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.name != "state.py")


def test_every_package_is_looked_at() -> None:
    assert len(FILES) > 150
    assert {file.relative_to(ROOT).parts[0] for file in FILES} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_else_counts_positions(package: str) -> None:
    told = {
        str(file.relative_to(ROOT)): names
        for file in FILES
        if file.relative_to(ROOT).parts[0] == package and (names := breaches(file.read_text()))
    }
    assert told == {}


@pytest.mark.parametrize(
    ("planted", "names"),
    [
        ("from crossmix.state import PLATFORM_FIELD, ALLOCATION", ["PLATFORM_FIELD"]),
        ("x = state_BS[:, ALLOCATION.context_size :]", ["context_size"]),
        ("x = row[: layout.slots * len(layout.platform_fields)]", ["platform_fields", "slots"]),
        ("x = row[512 + 12 * slot + ALLOCATION.platform('win_rate')]", ["platform"]),
        ("at = bundle.layout.campaign('pace') - 8", ["campaign"]),
        ("at = ALLOCATION._campaign_at", ["_campaign_at"]),
        ("x = fields[..., ALLOCATION.platform('max')]; y = np.zeros(layout.slots)", []),
    ],
)
def test_a_breach_is_found(planted: str, names: list[str]) -> None:
    assert breaches(planted) == names
