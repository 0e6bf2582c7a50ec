"""The learning benchmarks run end to end on a small run, and their figures are what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import ablation, adapt, allocation, guardrails, misfit, monitor, online, sim_to_real
from benchmarks.train import from_random
from crossmix.agents.adversarial import FIELDS
from crossmix.config import Config, Demo, load
from crossmix.evaluate.judge import judge_act
from crossmix.market.environment import MarketEnvironment
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import Log
from crossmix.market.model import Market, save
from crossmix.market.model import load as load_market
from crossmix.market.shift import shifts
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION
from crossmix.training.align import Logged, Simulation
from crossmix.training.loop import train
from crossmix.training.policy_file import load_policy
from tests.support.fidelity_logs import rich_log
from tests.support.markets import make_market

SMALL = ["train.agent=pathwise", "train.pathwise.updates=40", "train.pathwise.batch=32", "train.cycles=20"]
SMALL += ["train.pathwise.hidden=[32,32]", "evaluate.market_seeds=3", "evaluate.cycles=4"]
SMALL += ["thresholds.flights=4", "thresholds.days=20"]
SMALL += ["align.iterations=40", "align.hidden=[32,32]", "align.batch=32", "align.updates=10"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path, Path]:
    market, policy = tmp_path_factory.mktemp("market"), tmp_path_factory.mktemp("policy")
    save(make_market(platforms=4, drift=0.1), market)
    config = load("laptop", SMALL)
    train(config, market, policy)
    return config, market, policy


def test_recovery_counts_what_never_recovers() -> None:
    assert adapt.recovered([0.9, 0.96, 0.94, 0.96, 0.97]) == 3
    assert adapt.recovered([0.96, 0.97]) == 0
    assert adapt.recovered([0.96, 0.9, 0.96]) is None
    told = adapt.summary([[0.9, 0.96, 0.96], [0.9, 0.9, 0.9], [0.9, 0.9, 0.96]])
    assert (told["recovered"], told["of"], told["median updates"]) == (1, 3, None)
    assert told["mean updates, censored at the horizon"] == pytest.approx((1 + 3 + 3) / 3)
    assert told["updates of each"] == [1, None, None]
    # Over all scenarios and tasks 1 + 2 + 3 + 8 updates (the last never recovered) against 2 + 4 + 6 + 8.
    rows = [
        {"maml": {"updates of each": [1, 2]}, "plain": {"updates of each": [2, 4]}},
        {"maml": {"updates of each": [3, None]}, "plain": {"updates of each": [6, None]}},
    ]
    ratio = adapt.versus({"a": rows[0], "b": rows[1]}, 8, "plain")
    assert ratio is not None
    assert ratio["mean"] == pytest.approx(14 / 20)
    assert ratio["ci95"] == pytest.approx([4 / 8, 10 / 12])
    assert (
        adapt.versus({"a": {"maml": {"updates of each": [0]}, "plain": {"updates of each": [0]}}}, 8, "plain") is None
    )


def test_online_benchmark(trained: tuple[Config, Path, Path]) -> None:
    told = online.measure(*trained, seeds=2, days=3, rows=4)
    for found in told["markets"].values():
        ways = found["ways"]
        assert ways["frozen"]["moved"] == ways["exploring"]["moved"] == 0
        assert ways["tuned"]["moved"] > 0
        assert ways["paper"]["moved"] > 0
        assert ways["frozen"]["lead over frozen"]["mean"] == 0
        assert all(0 < row["oracle_ratio"]["mean"] < 1.05 for row in ways.values())
    assert "GENERATED DATA" in online.table(told)


def test_sim_to_real_benchmark(
    trained: tuple[Config, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, market, _ = trained
    simulation = Simulation(config, sim_to_real.load(market), 4, seed=5)
    share = simulation.environment.static_BP
    rows = [simulation.transition(share).detach() for _ in range(40)]
    assert rows[0].shape == (4, 4 + 2 * 4 * len(FIELDS))
    logged = Logged(torch.cat(rows), share[:2].expand(40, -1, -1))
    monkeypatch.setattr(sim_to_real, "transitions", lambda *_: logged)
    monkeypatch.setattr(sim_to_real, "Dataset", lambda path: path)
    monkeypatch.setattr(
        sim_to_real, "later", lambda config, dataset, fitted: sim_to_real.wrong(fitted, {"cvr": 2.0, "level": 1.5})
    )
    told = sim_to_real.measure(config, tmp_path, market, 2, ["click rates", sim_to_real.TEST_DAYS])
    for name, planted in (("click rates", [0, 0, 2.0, 0]), (sim_to_real.TEST_DAYS, [0, 1.5, 0, 2.0])):
        case = told["cases"][name]
        ways = case["ways"]
        assert list(ways) == ["none", "policy", "market", "longer", "right"]
        assert ways["none"]["lead"] is None
        assert ways["right"]["lead"]["mean"] > 0
        expected = [math.log(factor) if factor else 0 for factor in planted]
        assert list(case["error, mean |ln|, of each"].values()) == pytest.approx(expected, abs=1e-5)
        assert name in sim_to_real.table(told)


def test_the_market_of_the_test_days_is_fitted_on_them_alone(tmp_path: Path) -> None:
    demo = Demo(days=50, campaigns=1, users=6_000, creatives=2, requests_per_day=400, seed=3)
    dataset, log = rich_log(tmp_path, demo)
    config = load("laptop", SMALL)
    fitted = estimate(config, dataset, log, None)
    # In the last eight days prices double, and two of three clicks are taken away.
    frame = log.frame.copy()
    late = (frame["split"] == "test").to_numpy()
    assert frame["cycle"][late].min() == 42
    frame.loc[late, ["price_paid", "bid_price"]] *= 2
    kept = np.random.default_rng(0).random(len(frame)) < 1 / 3
    frame.loc[late, "clicked"] &= kept[late]
    moved = sim_to_real.apart(fitted, _later(config, dataset, log, frame, fitted))
    still = sim_to_real.apart(fitted, _later(config, dataset, log, log.frame, fitted))
    requests, price, ctr, _ = (moved - still).mean(1).tolist()
    assert requests == pytest.approx(0, abs=0.02)
    assert price == pytest.approx(math.log(2), abs=0.02)
    assert ctr == pytest.approx(math.log(1 / 3), abs=0.1)
    # The training days' market does not see them.
    again = estimate(config, dataset, Log(log.meta, frame), None)
    assert torch.equal(again.value["ctr"], fitted.value["ctr"])


def _later(config: Config, dataset: Dataset, log: Log, frame: pd.DataFrame, fitted: Market) -> Market:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sim_to_real, "read", lambda _: Log(log.meta, frame))
        return sim_to_real.later(config, dataset, fitted)


def test_ablation_benchmark(trained: tuple[Config, Path, Path]) -> None:
    config, market, policy = trained
    names = (ablation.FULL, "no training: the plan alone (agent mpc)", "no plan", ablation.NO_FUSION)
    told = ablation.measure(config, market, policy, policy, range(2), 2, names)
    rows = told["variants"]
    assert list(rows) == list(names)
    assert rows[ablation.FULL]["lost"] is None
    assert told["alignment"]["gained"]["mean"] == 0
    # Forty updates of a small net from the uniform split lose against those from the plan.
    assert rows["no plan"]["lost"]["ci95"][0] > 0
    assert rows["no training: the plan alone (agent mpc)"]["oracle_ratio"]["mean"] > 0.9
    assert "no fusion" in ablation.table(told)


@pytest.mark.parametrize("quantity", ["cvr", "value", "saturation"])
def test_a_planted_error_moves_its_quantity_alone(quantity: str) -> None:
    market = make_market(platforms=4)
    moved = sim_to_real.wrong(market, {quantity: 2.0})
    for name, table in market.value.items():
        factor = torch.tensor([0.5, 2.0, 0.5, 2.0]) if name == quantity else torch.ones(4)
        assert torch.allclose(moved.value[name], table * factor), name
    assert torch.equal(moved.price, market.price)


def test_worlds_are_what_their_names_say() -> None:
    market = make_market(platforms=4)
    fitted, values, outage = misfit.worlds(market, (misfit.AS_FITTED, "value", "outage")).values()
    assert fitted is market
    assert not torch.equal(values.value["value"], market.value["value"])
    assert [item.name for item in shifts(outage)] == ["outage"]
    assert not shifts(market)


def test_who_remembers_is_made_for_the_fitted_market(
    trained: tuple[Config, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder, policy = trained
    fitted, told, mpc = misfit.load(folder), [], misfit.BASELINES.get("mpc")
    noting = replace(mpc, player=lambda market, rows: told.append(market) or mpc.player(market, rows))
    get = misfit.BASELINES.get
    monkeypatch.setattr(misfit.BASELINES, "get", lambda name: noting if name == "mpc" else get(name))
    world = MarketEnvironment(
        misfit.wrong(fitted, {"cvr": 2.0}),
        config,
        campaign_B=torch.zeros(4).long(),
        cycles=2,
        mechanism="counts",
        seed=1,
    )
    misfit.players(fitted, misfit.load_policy(policy))["mpc"](world, world.observe())
    assert told[0] is fitted


def test_misfit_benchmark(trained: tuple[Config, Path, Path]) -> None:
    config, market, policy = trained
    told = misfit.measure(config, market, policy, range(4), (misfit.AS_FITTED, "cvr"))
    fitted, conversions = told["worlds"].values()
    assert list(fitted) == ["policy", misfit.UNTOLD, "its plan alone", *misfit.AGAINST]
    assert all(0 < row["oracle_ratio"]["mean"] < 1.1 for world in told["worlds"].values() for row in world.values())
    # The plug-in knows no other conversion rate than the fitted one.
    assert conversions["plug_in"]["oracle_ratio"]["mean"] < fitted["plug_in"]["oracle_ratio"]["mean"] - 0.005
    for world in (fitted, conversions):
        lead = world["policy"]["oracle_ratio"]["mean"] - world["plug_in"]["oracle_ratio"]["mean"]
        assert world["plug_in"]["lead of the policy"]["mean"] == pytest.approx(lead)
    assert fitted["policy"]["lead of the policy"] is None
    assert "its plan alone" in misfit.table(told)


def test_other_learners_get_as_much_as_the_policy_had(trained: tuple[Config, Path, Path]) -> None:
    config, market, policy = trained
    told = allocation.measure(config, market, policy, range(2), 1, ["ppo"], "cycles")
    took = told["training"]["crossmix policy"]["cycles"]
    other = told["training"]["stable-baselines3 PPO, equal cycles"]
    assert took <= other["cycles"] < took + 20 * 2_048
    assert told["players"]["stable-baselines3 PPO, equal cycles"]["lead"]["mean"] > 0
    # What is known in hindsight is worth something, and little where no limit couples the cycles.
    assert 1 <= told["hindsight bound over the oracle"]["mean"] < 1.2
    assert "stable-baselines3 PPO" in allocation.table(told)


def test_who_is_told_past_drifts_is_above_who_filters_them_and_below_who_knows_the_coming_one(
    trained: tuple[Config, Path, Path],
) -> None:
    config, folder, _ = trained
    market = load_market(folder)
    noisy = market.value | {f"{name}_drift": torch.full_like(market.value["ctr"], 0.3) for name in ("ctr", "price")}
    market = replace(market, value=noisy)
    judged = replace(config, evaluate=replace(config.evaluate, market_seed=7_000_000, market_seeds=12, cycles=12))
    acts = allocation.players(market, [])
    earned = {
        who: judge_act(market, judged, acts[who], who).column("expected_revenue").sum(1)
        for who in ("mpc", "last_drift", "oracle")
    }
    ratio = {name: revenue / earned["oracle"] for name, revenue in earned.items()}
    lead = ratio[allocation.LAST_DRIFT] - ratio["mpc"]
    assert lead.mean() > 2 * lead.std(ddof=1) / len(lead) ** 0.5
    assert ratio[allocation.LAST_DRIFT].mean() < 0.999


def test_who_starts_at_random_trains_once_per_seed(trained: tuple[Config, Path, Path]) -> None:
    config, folder, _ = trained
    told = from_random(config, folder, "ppo", config.train, 2.0, 2)
    first, second = (row["best"] for row in told["training seeds"])
    assert told["best"] == first != second
    assert min(first, second) > 0
    assert max(first, second) <= 1.001


def test_win_rates_that_are_not_told_are_zero(trained: tuple[Config, Path, Path]) -> None:
    config, folder, _ = trained
    market = load_market(folder)
    world = MarketEnvironment(
        market, config, campaign_B=torch.zeros(2, dtype=torch.long), cycles=3, mechanism="counts", seed=1
    )
    seen, given = world.observe(), []

    def policy(state_BS: torch.Tensor, low_BP: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        given.append(state_BS)
        return low_BP

    misfit.without_win_rates(policy)(world, seen)  # type: ignore[arg-type]
    changed = (given[0] != seen.state_BS).any(0).nonzero()[:, 0].tolist()
    assert [ALLOCATION.names[index - ALLOCATION.context_size] for index in changed] == [
        f"p{slot}_win_rate" for slot in range(4)
    ]
    assert bool((given[0][:, changed] == 0).all())


def test_a_shock_is_found_on_its_first_day_and_the_figures_are_parts(trained: tuple[Config, Path, Path]) -> None:
    config, market, policy = trained
    fitted = load_market(market)
    watched = monitor.Watched(config, fitted, allocation.served(load_policy(policy)))
    quiet = monitor.quiet(watched, 2, 5)["residuals"]
    assert quiet["days"] == 180
    assert quiet["ci95"][0] <= quiet["per 30 days"] <= quiet["ci95"][1]
    day_F = monitor.found(watched, monitor.world_of(fitted, "outage"), 3, 6)
    assert monitor.when(day_F)["within 3 d"]["part"] == 1


def test_guardrails_stop_a_plain_drop_and_their_figures_are_parts(trained: tuple[Config, Path, Path]) -> None:
    config, market, _ = trained
    result = guardrails.measure(market, config, 40)
    calm = result["gaussian, half of the demo's"]
    assert calm["-60%"]["within 10 days"]["part"] == 1.0
    assert calm["-40%"]["before it"]["part"] == 0.0
    second = result["two currencies, 90% : 10%"]
    assert second["-60%"]["within 10 days"]["part"] == 1.0
    assert second["-60%, pooled alone"]["within 10 days"]["part"] < 0.5
    for one in (row for row in result.values() if isinstance(row, dict)):
        low, high = one["false"]["ci95"]
        assert 0 <= low <= one["false"]["part"] <= high <= 1
    assert "stopped within 3, 5, 10 days" in guardrails.table(result)
