"""From a served policy's ledger to a gated challenger in a real registry: moved, quiet and spoiled feedback."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.declared import steps
from crossmix.agents.policy import Policy
from crossmix.artifacts import (
    ActorSizes,
    Deployment,
    FeedbackReport,
    GateTable,
    Readaptation,
    ReadaptationJudged,
    ReadaptResult,
    Registration,
    RunRecord,
    ServingVersion,
)
from crossmix.bundle import watch_of
from crossmix.config import Config, load
from crossmix.evaluate.gates.publish import publish_bundle
from crossmix.ledger.store import Store
from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market, save
from crossmix.market.model import load as load_market
from crossmix.market.pacing import tables
from crossmix.registry.store import Registry
from crossmix.registry.trained import (
    KEPT_FOLDER,
    MARKET_FILES,
    MARKET_FOLDER,
    POLICY_FOLDER,
    UNTIL,
    trained_market,
    trained_policy,
)
from crossmix.training.policy_file import POLICY_FILES, TrainedPolicy, load_policy
from tests.support.markets import make_market
from tests.support.recorded_config import covers, recorded
from tests.support.served_market import START, Poison, fill
from tests.support.small_run import kill_group

CYCLES, PLATFORMS = 40, 4
SMALL = ["readapt.updates=3", "readapt.steps=2", "readapt.seeds=6", "readapt.run=r", "train.pathwise.batch=8"]
SMALL += ["train.cycles=4", "evaluate.market_seeds=8", "evaluate.cycles=10"]
ALTERNATING = torch.tensor([0.5, 2.0, 0.5, 2.0]).expand(2, PLATFORMS)


@dataclass
class Home:
    """A run's folder with a champion, and databases of what came back."""

    out: Path
    market: Market
    policy: Policy
    digest: str
    filled: dict[str, tuple[str, datetime]]
    """Databases that are there already, by name."""

    @property
    def registry(self) -> Registry:
        return Registry.of(load("laptop"), self.out)

    def ledger(self, name: str, market: Market, poison: Poison | None = None) -> tuple[str, datetime]:
        """URL of a database that a served flight has filled, and the market time then; one of a name is made once."""
        if name in self.filled:
            return self.filled[name]
        url = f"sqlite:///{self.out / name}.db"
        store = Store(url, lambda: START)
        at = fill(
            store, load("laptop"), market, self.policy, self.digest, cycles=CYCLES, seed=32_000_007, poison=poison
        )
        store.close()
        return self.filled.setdefault(name, (url, at))

    def config(self, url: str, at: datetime, *changes: str) -> Config:
        return load("laptop", [*SMALL, f"serving.database={url}", f"readapt.at={at.isoformat()}", *changes])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    out, config = tmp_path_factory.mktemp("run"), load("laptop", SMALL)
    market = make_market(seed=3, platforms=PLATFORMS, campaigns=2, drift=0.1)
    market = replace(scaled_market(market, requests=torch.tensor(3.0)), budget=3 * market.budget)
    torch.manual_seed(1)
    policy = Policy(PLATFORMS, (16,), 6, tables(market, config)).eval()
    for name in ("market", "trained"):
        (out / name).mkdir()
    save(market, out / "market")
    sizes = ActorSizes(platforms=PLATFORMS, hidden=(16,), platform_net=6)
    TrainedPolicy(policy.state_dict(), torch.full((PLATFORMS,), -2.0), sizes).save(out / "trained")
    made = publish_bundle(config, market, policy, out / "judged")
    Registry.of(config, out).register(
        made.path,
        artifacts={f"{POLICY_FOLDER}/{name}": out / "trained" / name for name in POLICY_FILES}
        | {f"{MARKET_FOLDER}/{name}": out / "market" / name for name in MARKET_FILES},
        tags={"oracle_ratio": "0.99"},
    )
    return Home(out, market, policy, made.digest, {})


@dataclass
class Went:
    """What the steps of a pipeline wrote."""

    folder: Path
    config: Config

    def step(self, name: str, core: str | None = None, **inputs: Path) -> Path:
        """Run a step's core function in this process."""
        module, _, function = steps(None)[core or name].core.partition(":")
        out = self.folder / name
        out.mkdir(parents=True)
        call: Any = getattr(importlib.import_module(module), function)
        call(config=self.config, **inputs, out=out)
        return out


def adapt(home: Home, folder: Path, config: Config, adapting: str = "readapt") -> Went:
    """Up to the gates."""
    went = Went(folder, config)
    champion = went.step("champion", home=home.out)
    came = went.step("feedback", champion=champion, home=home.out)
    policy = went.step("policy", adapting, champion=champion, feedback=came)
    went.step("judge", champion=champion, feedback=came, policy=policy)
    return went


def register(home: Home, went: Went) -> Registration:
    champion, judged, policy = (went.folder / name for name in ("champion", "judge", "policy"))
    out = went.step("register", evaluation=judged, policy=policy, meta=champion, market=champion, home=home.out)
    return Registration.load(out)


@pytest.fixture(scope="module")
def moved(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Went:
    """Up to the gates, in a market whose conversion rates have moved."""
    url, at = home.ledger("moved", scaled_market(home.market, cvr=ALTERNATING))
    return adapt(home, tmp_path_factory.mktemp("moved"), home.config(url, at))


def test_a_moved_market_gives_a_challenger_with_the_market_that_it_was_planned_in(home: Home, moved: Went) -> None:
    went, folder = moved, moved.folder
    served = ServingVersion.load(folder / "champion")
    assert (served.version, served.bundle_digest, served.start, served.until) == (1, home.digest, False, None)

    told = FeedbackReport.load(folder / "feedback")
    assert told.campaigns == home.market.campaigns
    assert told.suspects == ()
    assert told.arms == ("policy", "control")
    assert 0 < told.served <= went.config.online.window * len(home.market.campaigns)

    report = Readaptation.load(folder / "policy")
    tried = {one.name: one for one in report.tried}
    assert tried["meta"].left_out == "the champion's version holds no meta-trained start"
    assert tried["replanned"].lead is not None
    assert tried["replanned"].lead.ci95[0] > 0.002
    cells = {(one.platform, one.quantity) for one in report.moved}
    assert cells >= {(platform, "cvr") for platform in home.market.platforms}
    off = {}
    for one in report.moved:
        if one.quantity == "cvr":
            truth = float(ALTERNATING[0, home.market.platforms.index(one.platform)])
            off[one.campaign, one.platform] = abs(np.log(one.factor / truth)), one.probability
    # Where it is sure it is right; where it is not, on the whole nearer to the truth than what was fitted, ln 2 away.
    assert [cell for cell, (gap, probability) in off.items() if probability > 0.95 and gap > 0.35] == []
    assert np.mean([gap for gap, _ in off.values()]) < 0.2

    judged = ReadaptationJudged.load(folder / "judge")
    assert (judged.outcome, judged.version, judged.bundle_digest) == ("adapted", 1, home.digest)
    assert judged.lead.ci95[0] > 0.002
    assert judged.oracle_ratio > judged.champion_ratio + 0.002
    assert watch_of(folder / "judge" / "bundle")[0] is not None, "it may serve: a monitor needs its thresholds"
    gates = {gate.name: gate for gate in GateTable.load(folder / "judge").gates}
    assert list(gates) == [f"readapt.{one}" for one in (*went.config.readapt.required, "off_policy")]
    assert all(gates[f"readapt.{one}"].verdict == "pass" for one in went.config.readapt.required)
    assert gates["readapt.predicts"].value is not None
    assert gates["readapt.predicts"].value > 0.05, "nats a cell"
    assert (gates["readapt.off_policy"].verdict, gates["readapt.off_policy"].required) == ("insufficient data", False)

    registration = register(home, went)
    assert registration.aliases == ("challenger",)
    assert registration.note == "stays challenger of version 1: it waits for its canary"
    challenger = home.registry.get("challenger")
    assert challenger.number == registration.version == 2
    assert home.registry.get("champion").number == 1
    assert challenger.tags[UNTIL] == told.until
    assert float(challenger.tags["champion_ratio"]) == judged.champion_ratio
    kept, refitted = trained_market(home.registry, 2), load_market(folder / "policy" / "market")
    beside = load_market(home.out / KEPT_FOLDER / challenger.digest[:16])
    assert torch.equal(kept.value["cvr"], refitted.value["cvr"])
    assert torch.equal(kept.value["cvr"], beside.value["cvr"])
    assert kept.digest != home.market.digest
    for one in report.moved:
        if one.quantity == "cvr":
            cell = home.market.campaigns.index(one.campaign), home.market.platforms.index(one.platform)
            assert float(kept.value["cvr"][cell] / home.market.value["cvr"][cell]) == pytest.approx(
                one.factor, rel=1e-3
            )
    weights, written = trained_policy(home.registry, 2).policy().state_dict(), load_policy(folder / "policy")
    assert all(torch.equal(value, weights[name]) for name, value in written.state_dict().items())

    # Nobody is asked where no server is named, and the step says so.
    out = went.step("deploy", registration=folder / "register", evaluation=folder / "judge")
    assert Deployment.load(out).state == "waits"


def test_quiet_feedback_registers_nothing(home: Home, tmp_path: Path) -> None:
    url, at = home.ledger("quiet", home.market)
    adapt(home, tmp_path, home.config(url, at, "online.daily=true"), "finetune")
    judged = ReadaptationJudged.load(tmp_path / "judge")
    assert judged.outcome == "nothing to gain"
    assert judged.reason.startswith("gain below 0.002: ")
    assert watch_of(tmp_path / "judge" / "bundle")[0] is None, "it will not serve"
    assert abs(judged.lead.mean) < 0.002
    gates = {gate.name: gate.verdict for gate in GateTable.load(tmp_path / "judge").gates}
    assert [name for name, verdict in gates.items() if verdict == "fail"] == ["readapt.gain"]
    report = Readaptation.load(tmp_path / "policy")
    assert {one.name for one in report.tried if one.left_out} == {"retrained", "meta"}
    (online,) = (one for one in report.tried if one.name == "online")
    assert online.updates == 1
    assert [one for one in report.moved if one.probability > 0.9] == []


def test_a_broken_feed_stops_it_and_the_reason_names_platform_and_cause(home: Home, tmp_path: Path) -> None:
    def spoil(arm: str, report: dict[str, Any]) -> None:
        report["revenue"][-8:, :, 2] *= 100

    url, at = home.ledger("spoiled", home.market, spoil)
    adapt(home, tmp_path, home.config(url, at))
    told = FeedbackReport.load(tmp_path / "feedback")
    assert {(one.platform, one.quantity) for one in told.suspects} == {("p2", "value")}
    assert "impossible" in {one.cause for one in told.suspects}
    judged = ReadaptationJudged.load(tmp_path / "judge")
    assert judged.outcome == "stopped"
    assert "impossible on p2" in judged.reason
    assert watch_of(tmp_path / "judge" / "bundle")[0] is None, "it will not serve"
    assert "value" in judged.reason
    # What is held is unknown to the refit: nothing has moved.
    report = Readaptation.load(tmp_path / "policy")
    assert [one for one in report.moved if one.probability > 0.9] == []


def test_what_a_version_has_taken_in_is_not_taken_in_again(home: Home, tmp_path: Path) -> None:
    """The refitted market of a champion knows the cycles up to its tag: of those, clicks alone are read."""
    url, at = home.ledger("quiet", home.market)
    champion = Went(tmp_path, home.config(url, at)).step("champion", home=home.out)
    before = ServingVersion.load(champion)
    every = Went(tmp_path / "all", home.config(url, at)).step("feedback", champion=champion, home=home.out)
    replace(before, until="2026-02-01T00:00:00+00:00").save(champion)
    newer = Went(tmp_path / "new", home.config(url, at)).step("feedback", champion=champion, home=home.out)
    told, whole = FeedbackReport.load(newer), FeedbackReport.load(every)
    assert told.until == whole.until
    due = home.market.delay.shape[2] - 1
    assert told.warming == due
    assert 0 < told.cycles < whole.cycles
    with np.load(newer / "feedback.npz") as file:
        assert np.isnan(file["impressions_TCP"][:due]).all()
        assert np.isfinite(file["clicks_TCP"][:due]).all()
        assert np.isfinite(file["impressions_TCP"][due:]).any((1, 2)).all()


def test_a_step_declares_what_it_reads(home: Home, tmp_path: Path) -> None:
    url, at = home.ledger("quiet", home.market)
    config, reads = recorded(home.config(url, at))
    went = Went(tmp_path, config)
    inputs: dict[str, Path] = {"home": home.out}
    for name, core in (("champion", "champion"), ("feedback", "feedback"), ("policy", "readapt"), ("judge", "judge")):
        step = steps(None)[core]
        reads.clear()
        module, _, function = step.core.partition(":")
        takes = inspect.signature(getattr(importlib.import_module(module), function)).parameters
        inputs[name] = went.step(name, core, **{key: path for key, path in inputs.items() if key in takes})
        declared = (*step.settings, "task")  # which counts by itself
        undeclared = sorted(key for key in reads if not any(covers(one, key) for one in declared))
        assert not undeclared, f"components/{core}/step.py must declare {', '.join(undeclared)}"


@pytest.mark.soak
def test_the_command_killed_in_a_step_goes_on_to_the_same_challenger(home: Home, moved: Went, tmp_path: Path) -> None:
    url, at = home.ledger("moved", home.market)
    RunRecord(run_id="r", config=asdict(load("laptop", SMALL)), steps={}).save(home.out)
    command = [sys.executable, "-m", "pipelines.cli.main", "readapt", str(home.out), "--run", "r"]
    command += ["--database", url, "--at", at.isoformat(), "--dry-run"]
    with (tmp_path / "screen").open("w") as screen:
        killed = subprocess.Popen(command, stdout=screen, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        last = time.monotonic() + 600
        while not list((home.out / "steps").glob("readapt/*.tmp")):
            assert killed.poll() is None, (tmp_path / "screen").read_text()
            assert time.monotonic() < last, "the step readapt has not begun"
            time.sleep(0.02)
        kill_group(killed)
    assert not list((home.out / "steps").glob("readapt/*/done.json"))
    assert ReadaptResult.found(home.out / "readapt" / "r") is None

    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert [step for step in ("champion", "feedback", "readapt") if f"{step:9} reused" in done.stdout] == [
        "champion", "feedback",
    ]  # fmt: skip
    result = ReadaptResult.load(home.out / "readapt" / "r")
    assert (result.outcome, result.version) == ("dry run", None)
    (judged,) = (home.out / "steps" / "judge").glob("*/bundle")
    names = sorted(path.name for path in judged.iterdir())
    assert names == sorted(path.name for path in (moved.folder / "judge" / "bundle").iterdir())
    for name in names:
        assert (judged / name).read_bytes() == (moved.folder / "judge" / "bundle" / name).read_bytes(), name
