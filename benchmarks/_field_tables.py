"""The figures of `benchmarks/field.py` for people: tables of the console and of docs/field-figures.md."""

from __future__ import annotations

from typing import Any

from benchmarks._field_kinds import INSIDE, SIXTY

WHO = ("recommended", "today", "log-log", "PyMC-Marketing")
"""Whose splits are compared."""
WANTED = {"inside": (0.92, 0.98), "outside": (0.88, 0.99)}
"""Coverage that is wanted of 95 % intervals, of worlds that the fit may contain and of those that it does not."""


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    first, last = result["seeds"]
    lines = [
        f"planted worlds, seeds {first} to {last}; GENERATED DATA; {result['PyMC-Marketing']}",
        "",
        f"{'regret, %':<22}{'n':>4}{'recommended':>22}{'goal':>6}{'':>5}{'today':>8}{'log-log':>9}{'PyMC':>8}"
        f"{'promised':>10}{'today told':>12}{'CPU s, most':>13}",
    ]
    for kind, row in result["kinds"].items():
        goal = "" if row["goal"] is None else f"{100 * row['goal']:.1f}"
        met = {None: "", True: "", False: "  no"}[row["met"]]
        others = [_percent(row["regret"][who]) for who in WHO[1:]]
        ratios = [_ratio(row[name]) for name in ("promised over earned", "today told over today")]
        cost = "-" if row["longest, cpu s"] is None else f"{row['longest, cpu s']:.1f} of {row['wanted, cpu s']:.0f}"
        lines.append(
            f"{kind:<22}{row['histories']:>4}{_percent(row['regret']['recommended'], True):>22}{goal:>6}{met:>5}"
            f"{others[0]:>8}{others[1]:>9}{others[2]:>8}{ratios[0]:>10}{ratios[1]:>12}{cost:>13}"
        )
        lines += [f"  refused: {sentence}" for sentence in dict.fromkeys(row["refused"])]
    for group, rows in result["coverage"].items():
        low, high = WANTED[group]
        lines += ["", f"95 % intervals, {group} (wanted: {low} to {high} of them hold the truth)"]
        lines += [_covered(what, row) + ("" if row["met"] else "  no") for what, row in rows.items()]
    lines += ["", "95 % intervals by kind: part that holds the truth (mean width over the truth)"]
    names = next((list(row["coverage"]) for row in result["kinds"].values() if row["coverage"]), [])
    lines.append(f"{'':<22}" + "".join(f"{name:>18}" for name in names))
    for kind, row in result["kinds"].items():
        cells = (f"{one['covered']['mean']:.2f} ({one['width']:.2f})" for one in row["coverage"].values())
        lines.append(f"{kind:<22}" + "".join(f"{cell:>18}" for cell in cells))
    lines += [
        "",
        "decisions: histories whose change is accepted; of them lost; found where the best earns 5 % more",
    ]
    for group, row in result["decisions"].items():
        lines.append(
            f"  {group:<10}{row['accepted']:>4} of {row['histories']:<4} lost {_rate(row['lost'])}, found "
            f"{_rate(row['found'])}, where no probe is needed {_rate(row['found without probes'])}"
        )
    return "\n".join(lines)


def _rate(part: dict[str, Any]) -> str:
    if part["mean"] is None:
        return "-"
    low, high = part["ci95"]
    met = "" if part["met"] else " (missed)"
    return f"{part['hits']} of {part['of']}, {part['mean']:.3f} [{low:.3f}, {high:.3f}]{met}"


def _covered(what: str, row: dict[str, Any]) -> str:
    low, high = row["covered"]["ci95"]
    return (
        f"  {what:<16}{row['covered']['mean']:.3f} [{low:.3f}, {high:.3f}] of {row['intervals']} in "
        f"{row['histories']} histories, width {row['width']:.2f} of the truth"
    )


def _percent(item: dict[str, Any] | None, interval: bool = False) -> str:
    if item is None:
        return "-"
    low, high = (100 * edge for edge in item["ci95"])
    return f"{100 * item['mean']:.2f}" + (f" [{low:.2f}, {high:.2f}]" if interval else "")


def _ratio(item: dict[str, Any] | None) -> str:
    return "-" if item is None else f"{item['mean']:.3f}"


def markdown(result: dict[str, Any]) -> dict[str, list[str]]:
    """The rows of the tables of docs/field-figures.md, by table: `kinds`, `coverage` and `decisions`."""
    kinds = [_kind_row(kind, row) for kind, row in result["kinds"].items() if kind != SIXTY]
    inside = sum(kind in INSIDE for kind in result["kinds"])
    kinds.insert(inside, "| *families that no fit contains* | | | | | | |")
    held = result["coverage"]
    return {
        "kinds": kinds,
        "coverage": [
            f"| {what} | {_held(held['inside'][what])} | {_held(held['outside'][what])} |" for what in held["inside"]
        ],
        "decisions": [_decision_row(group, row) for group, row in result["decisions"].items()],
    }


def _kind_row(kind: str, row: dict[str, Any]) -> str:
    missed = "" if row["met"] else " **missed**"
    others = " | ".join(f"{100 * row['regret'][who]['mean']:.1f}" for who in WHO[1:3])
    return (
        f"| {kind} | {_percent(row['regret']['recommended'], True)} | {100 * row['goal']:.1f}{missed} | {others} | "
        f"{_ratio(row['promised over earned'])} | {row['longest, cpu s']:.1f} |"
    )


def _held(row: dict[str, Any]) -> str:
    low, high = row["covered"]["ci95"]
    missed = "" if row["met"] else " **missed**"
    return f"{row['covered']['mean']:.3f} [{low:.3f}, {high:.3f}]{missed} | {row['width']:.2f}"


NAMES = {"inside": "fit may contain it", "outside": "no fit contains it"}


def _decision_row(group: str, row: dict[str, Any]) -> str:
    parts = " | ".join(
        _rate(row[name]).replace("(missed)", "**missed**") for name in ("lost", "found", "found without probes")
    )
    return f"| {NAMES.get(group, group)} | {row['accepted']} of {row['histories']} | {parts} |"
