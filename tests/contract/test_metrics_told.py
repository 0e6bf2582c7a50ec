"""docs/operations.md: every metric that server and webhook export stands in it, no other, and its alerts name those."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import REGISTRY

from monitoring import metrics
from serving.http import observe, writers

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def exported() -> set[str]:
    """Names as a scrape has them, counters with their `_total`."""
    assert observe.REQUESTS is not None
    assert writers.WAITING is not None
    assert metrics.LETTERS is not None
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in REGISTRY.collect()
        if family.name.startswith("crossmix_")
    }


def test_every_metric_is_told() -> None:
    rows = re.findall(r"^\| `(crossmix_\w+)` \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(exported())


def test_alerts_are_rules_over_metrics_that_there_are() -> None:
    (group,) = yaml.safe_load(TEXT.split("```yaml")[1].split("```")[0])["groups"]
    names = {rule["alert"] for rule in group["rules"]}
    assert {"NoFeedback", "CyclesUnreported", "ReportsComeLate", "DatabaseRefusesWrites"} <= names
    assert names >= set(re.findall(r"\| .*?`([A-Z]\w+)`", TEXT))
    for rule in group["rules"]:
        used = set(re.findall(r"crossmix_\w+", rule["expr"]))
        assert used, rule
        assert {name if name in exported() else re.sub("_count$", "", name) for name in used} <= exported(), rule
