"""How benchmarks print a mean with its interval."""

from __future__ import annotations

from typing import Any


def with_interval(item: dict[str, Any] | None, sign: str = "") -> str:
    """`0.9937 [0.9924, 0.9949]` of `significance.two_way`'s answer; a dash where there is none."""
    if item is None:
        return "-"
    low, high = item["ci95"]
    return f"{item['mean']:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"
