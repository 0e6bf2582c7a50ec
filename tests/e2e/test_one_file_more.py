"""A new source, a new gate and a new monitor are one file each: run, report, help, config and gate table know them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.experiments import deliver, event, make_store
from tests.support.html_pages import words
from tests.support.small_run import TINY

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "crossmix/sources/shop.py": '''
"""Source `shop`: the generated log, in a currency of its own."""

from dataclasses import dataclass, replace

from crossmix.config import STRICT, Name
from crossmix.sources import SOURCES, Source, settings
from crossmix.sources.demo import read as read_demo


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    __pydantic_config__ = STRICT
    currency: Name = "SHL"


def read(data, backend, workdir):
    raw = read_demo(data, backend, workdir)
    return replace(raw, currency=settings(data).currency, notes=(*raw.notes, "Paid in shells."))


SOURCES.register(Source(name="shop", label="a shop's own log", read=read, generated=True, settings=Shop))
''',
    "crossmix/evaluate/gates/spread.py": '''
"""A gate of its own: no platform gets nearly everything."""

from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.verdicts import FAIL, PASS, Criterion


def spread(case: Case):
    largest = float(case.records["policy"].share_NP.mean(0).max())
    verdict = PASS if largest < 0.99 else FAIL
    yield case.gate("policy.spread", largest, "< 0.99", verdict, "largest mean share of a platform")


CRITERIA.register(Criterion(name="policy.spread", judge=spread))
''',
    "monitoring/clicks.py": '''
"""A monitor of its own: arms that never saw a click."""

from dataclasses import dataclass

from crossmix.config import STRICT, PositiveInt
from crossmix.ledger import campaigns, feedback
from monitoring.monitors import MONITORS, Finding, Monitor


@dataclass(frozen=True, kw_only=True, slots=True)
class Clicks:
    __pydantic_config__ = STRICT
    least: PositiveInt = 1


def look(store, now, settings):
    for name in sorted(campaigns.load_all(store)):
        totals = feedback.totals(store, name, ["search"])
        for index, arm in enumerate(totals.arms):
            clicks = float(totals.values["clicks"][index].sum())
            yield Finding(
                monitor="clicks", campaign_id=name, arm=arm, observed=clicks, limit=float(settings.least),
                unit="clicks", alarming=clicks < settings.least, detail=f"{clicks:g} clicks",
            )


MONITORS.register(Monitor(name="clicks", label="clicks of each arm", look=look, settings=Clicks))
''',
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with three files more, and nothing else changed."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("crossmix", "components", "pipelines", "feature_repo", "serving", "monitoring"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in FILES.items():
        assert not (ROOT / path).exists()
        (root / path).write_text(text)
    return root


def crossmix(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, of the copy."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "pipelines.cli.main", *arguments]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def test_help_and_config_know_them(tree: Path) -> None:
    assert "shop (a shop's own log)" in " ".join(crossmix(tree, "run", "--help").stdout.split())
    names = " ".join(crossmix(tree, "config", "--help").stdout.split())
    assert "policy.latency, policy.spread" in names
    assert "clicks (clicks of each arm)" in " ".join(crossmix(tree, "monitor", "--help").stdout.split())
    changes = ("data.source=shop", "data.settings.currency=DIR", 'monitor.watch=["clicks"]')
    done = crossmix(tree, "config", *(part for change in changes for part in ("--set", change)))
    assert "data.source=shop" in done.stdout
    assert 'data.settings={"currency": "DIR"}' in done.stdout
    assert 'monitor.watch=["clicks"]' in done.stdout


def test_settings_of_a_source_are_refused_before_anything_starts(tree: Path, tmp_path: Path) -> None:
    for change, sentence in (
        ("data.settings.coin=DIR", "data.settings.coin: unknown config key; use currency"),
        ("data.settings.currency=", "data.settings.currency: '' does not fit"),
    ):
        done = crossmix(tree, "run", "--source", "shop", "--out", str(tmp_path / "out"), "--set", change)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_run_report_and_gate_table_know_them(tree: Path, tmp_path: Path) -> None:
    sets = TINY | {"data.settings.currency": "DIR", "gates.required": '["policy.limits", "policy.spread"]'}
    arguments = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    done = crossmix(tree, "run", "--source", "shop", "--out", str(tmp_path / "out"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["source"] == "shop"
    (row,) = [gate for gate in summary["gates"] if gate["name"] == "policy.spread"]
    assert (row["verdict"], row["required"], row["threshold"]) == ("pass", True, "< 0.99")
    assert 0.1 <= row["value"] < 0.99
    page = words((tmp_path / "out" / "report.html").read_text())
    assert "policy.spread" in page
    assert "Paid in shells." in page
    assert "DIR" in page


def test_the_monitor_is_asked(tree: Path, tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, [event("policy", 0)])
    store.close()
    look = ("monitor", "--database", f"sqlite:///{tmp_path / 'serving.db'}", "--json", "--set")
    done = crossmix(tree, *look, 'monitor.watch=["clicks"]')
    assert done.returncode == 3, done.stderr
    rows = [(row["monitor"], row["arm"], row["observed"], row["alarming"]) for row in json.loads(done.stdout)]
    assert rows == [("clicks", "policy", 100.0, False), ("clicks", "control", 0.0, True)]
