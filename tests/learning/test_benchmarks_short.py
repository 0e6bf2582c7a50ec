"""The learning benchmarks run end to end on a small run, and their figures are what they say."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Never

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import ablation, adapt, allocation, guardrails, memory, misfit, monitor, online, readapt, sim_to_real
from benchmarks._flights import Planner, Silent, fly, tiled
from benchmarks._resumed import Resumed
from benchmarks._ways import Kept
from benchmarks.train import from_random
from crossmix.agents.adversarial import FIELDS
from crossmix.config import Config, Demo, load
from crossmix.evaluate.judge import judge_act
from crossmix.market.conditions import scaled_market
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import Log, read
from crossmix.market.fit.predictions import predictions
from crossmix.market.model import Market, save
from crossmix.market.model import load as load_market
from crossmix.market.shift import shift, shifts
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION
from crossmix.training.align import Logged, Simulation
from crossmix.training.finetune import replanned
from crossmix.training.loop import train
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy, load_policy
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


def nowhere() -> Resumed:
    """Parts that are kept in memory alone."""
    return Resumed(None, {})


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


def fails(*_: object, **__: object) -> Never:
    """In the place of what is not to be done again."""
    pytest.fail("done again, though it was kept")


def test_online_benchmark(trained: tuple[Config, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = nowhere()
    told = online.measure(*trained, seeds=2, days=3, rows=4, kept=kept)
    monkeypatch.setattr(online, "play", fails)
    assert online.measure(*trained, seeds=2, days=3, rows=4, kept=kept)["markets"] == told["markets"]
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
    kept = nowhere()
    told = sim_to_real.measure(config, tmp_path, market, 2, ["click rates", sim_to_real.TEST_DAYS], kept)
    monkeypatch.setattr(sim_to_real, "judge_act", fails)
    monkeypatch.setattr(sim_to_real, "train", fails)
    again = sim_to_real.measure(config, tmp_path, market, 2, ["click rates", sim_to_real.TEST_DAYS], kept)
    assert again["cases"] == told["cases"]
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


def test_misfit_benchmark(trained: tuple[Config, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    config, market, policy = trained
    kept, names = nowhere(), (misfit.AS_FITTED, "cvr")
    told = misfit.measure(config, market, policy, range(4), names, kept)
    monkeypatch.setattr(misfit, "judge_act", fails)
    assert misfit.measure(config, market, policy, range(4), names, kept)["worlds"] == told["worlds"]
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


def test_other_learners_get_as_much_as_the_policy_had(
    trained: tuple[Config, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, market, policy = trained
    kept = nowhere()
    told = allocation.measure(config, market, policy, range(2), 1, kept, ["ppo"], "cycles")
    monkeypatch.setattr(allocation, "judge_act", fails)
    monkeypatch.setattr(allocation, "learned", fails)
    again = allocation.measure(config, market, policy, range(2), 1, kept, ["ppo"], "cycles")
    assert [again[name] for name in ("players", "training")] == [told[name] for name in ("players", "training")]
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


def test_a_market_by_the_hour_is_as_large_and_drifts_as_much_a_day() -> None:
    daily = make_market(platforms=4, drift=0.1)
    hours = monitor.hourly(daily)
    assert (daily.cycle_hours, hours.cycle_hours) == (24, 1)
    torch.testing.assert_close(24 * hours.budget, daily.budget)
    torch.testing.assert_close(24 * hours.value["requests"], daily.value["requests"])
    torch.testing.assert_close(hours.value["cvr_persistence"] ** 24, daily.value["cvr_persistence"])
    torch.testing.assert_close(hours.value["cvr_drift"], daily.value["cvr_drift"])
    days = hours.delay.unflatten(2, (daily.delay.shape[2], 24)).sum(3)
    torch.testing.assert_close(days, daily.delay)
    relative = [market.error["requests"] / market.value["requests"] for market in (hours, daily)]
    torch.testing.assert_close(*relative)


def test_guardrails_stop_a_plain_drop_and_their_figures_are_parts(
    trained: tuple[Config, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, market, _ = trained
    kept = nowhere()
    result = guardrails.measure(market, config, 40, kept)
    monkeypatch.setattr(guardrails, "_when", fails)
    monkeypatch.setattr(guardrails.simulate, "play_arm", fails)
    assert [*guardrails.measure(market, config, 40, kept)] == [*result]
    calm = result["gaussian, half of the demo's"]
    assert calm["-60%"]["within 10 days"]["part"] == 1.0
    assert calm["-40%"]["before it"]["part"] == 0.0
    second = result["two currencies, 90% : 10%"]
    assert second["-60%"]["within 10 days"]["part"] == 1.0
    assert second["-60%, pooled alone"]["within 10 days"]["part"] < 0.5
    for one in (row for row in result.values() if isinstance(row, dict) and "false" in row):
        low, high = one["false"]["ci95"]
        assert 0 <= low <= one["false"]["part"] <= high <= 1
    assert "stopped within 3, 5, 10 days" in guardrails.table(result)


def test_rows_of_one_campaign_have_plans_of_their_own(trained: tuple[Config, Path, Path]) -> None:
    config, folder, policy_folder = trained
    market, policy = load_market(folder), load_policy(policy_folder)
    several = tiled(market, 2)
    world = MarketEnvironment(several, config, campaign_B=torch.arange(4), cycles=3, mechanism="counts", seed=5)
    seen, planner = world.observe(), Planner(config, several, policy)
    with torch.no_grad():
        served = policy(seen.state_BS, seen.low_BP, seen.high_BP)
        assert torch.allclose(planner.share(planner.plan(several), seen), served, atol=1e-5)
        # The second seed's first campaign alone is planned for another market.
        factor = torch.ones(4, 4)
        factor[2, 0] = 3.0
        moved = planner.share(planner.plan(scaled_market(several, value=factor)), seen)
        alone = replanned(config, scaled_market(market, value=factor[2:]), policy)
        wanted = alone(seen.state_BS, seen.low_BP, seen.high_BP)
    apart = (moved - served).abs().amax(1) > 1e-3
    assert apart.tolist() == [False, False, True, False]
    assert torch.allclose(moved[2], wanted[2], atol=1e-5)


def test_what_a_silent_platform_was_told_counts_as_spent_until_it_returns(trained: tuple[Config, Path, Path]) -> None:
    config, folder, policy_folder = trained
    market = load_market(folder)
    planner = Planner(config, tiled(market, 1), load_policy(policy_folder))
    away = tiled(shift(market, "outage", platforms=["p1"], start=2, duration=6), 1)

    def left(fault: Silent) -> list[float]:
        rest = []

        class Noting(Kept):
            def share(self, world: MarketEnvironment, seen: Observation) -> torch.Tensor:
                rest.append(float(world.cycle_budget_B()[0]))
                return seen.low_BP + (seen.high_BP - seen.low_BP) / (seen.high_BP - seen.low_BP).sum(1, keepdim=True)

        told = fly(config, away, 8, 3, Noting(planner), fault).feedback
        assert np.isnan(told.spend_TCP[2:8, :, 1]).all()
        assert np.isfinite(told.spend_TCP[:2]).all()
        assert np.isfinite(told.told_TCP).all()
        return rest

    for_good, returned = (left(Silent(1, 2, 6, after, config.limits.probe)) for after in (None, 3))
    # All that is told counts as spent: the budget of a cycle stays, until the third silent cycle gives it back.
    assert returned[:5] == for_good[:5]
    assert for_good[5] == pytest.approx(for_good[2], rel=0.05)
    assert returned[5] > 1.15 * for_good[5]


def test_days_until_back_are_of_three_days_on_end() -> None:
    best = np.ones(7)
    assert readapt.back(np.array([0.9, 0.99, 0.99, 0.9, 0.99, 0.99, 0.99]), best) == 4
    assert readapt.back(np.full(7, 0.99), best) == 0
    assert readapt.back(np.array([0.99, 0.99, 0.9, 0.99, 0.99, 0.9, 0.99]), best) is None


def test_readapt_benchmark(trained: tuple[Config, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    config, folder, policy_folder = trained
    policy = TrainedPolicy.load(policy_folder)
    actor = policy.policy()
    names = tuple(name for name, _ in actor.named_parameters())
    start = AdaptationStart(policy.weights, torch.full((len(names),), -7.0), names, 1, policy.actor)
    size = readapt.Size(2, 12, 5, (2,), ("outage",), ("cvr",))
    kept = nowhere()
    told = readapt.measure(config, load_market(folder), actor, start, size, kept)
    monkeypatch.setattr(readapt, "fly", fails)
    again = readapt.measure(config, load_market(folder), actor, start, size, kept)
    assert again["wanted"] == told["wanted"]
    ways = told["lasting errors"]["cvr"]
    assert ways["world known"]["ratio"]["mean"] > ways["champion"]["ratio"]["mean"]
    assert ways["loop"]["lead"]["mean"] == pytest.approx(
        ways["loop"]["ratio"]["mean"] - ways["champion"]["ratio"]["mean"]
    )
    updates = {"champion": 0, "loop": 12, "loop, 5th day": 2, "MAML alone": 12, "world known": 1}
    assert {name: ways[name]["updates"] for name in updates} == updates
    assert all(0 < row["ratio"]["mean"] < 1.02 for row in ways.values())
    # Before the day of the move the plan of the world to come is not known either.
    move = told["from a day on"]["cvr"]
    assert move["world known"]["by day"][:5] == move["champion"]["by day"][:5]
    assert move["world known"]["by day"][5:] != move["champion"]["by day"][5:]
    assert told["poison"]["x1"]["cost"] == {"champion": 0, "loop": 0}
    wanted = {row["what"]: row for row in told["wanted"]}
    assert wanted["cvr, from the first day"]["measured"] == ways["loop"]["ratio"]["mean"]
    assert wanted["refit and re-plan, CPU s"]["met"]
    assert wanted["outage, lost by the loop"]["measured"] == -told["no harm"]["outage"]["loop"]["lead"]["mean"]
    assert "outage of 2 days in silence" in readapt.table(told)


def test_memory_benchmark(tmp_path: Path) -> None:
    """The data stays, and what a case reads of it is told beside the memory that it took."""
    given = [0.003], ["align"], {"this": memory.ROOT}, 1_500, tmp_path, tmp_path / "kept.json"
    told = memory.measure(*given)
    (one,) = told["cases"]
    assert (one["case"], one["rows"], one["code"]) == ("align", 3_000, "this")
    assert one["largest MiB"] >= one["before MiB"] > 50
    expected = (one["largest MiB"] - one["before MiB"]) * 2**20 / 3_000
    assert one["MB per million rows"] == pytest.approx(expected)
    assert one["few, largest MiB"] > 50
    over = (one["largest MiB"] - one["few, largest MiB"]) * 2**20 / 3_000
    assert one[memory.OVER_FEW] == pytest.approx(over)
    (tmp_path / "out" / "this" / "align" / "3000").rename(tmp_path / "ran")
    assert memory.measure(*given)["cases"] == [one], "what was kept is not run again"
    assert not (tmp_path / "out" / "this" / "align" / "3000").exists()
    log = read(Dataset(tmp_path / "3000" / "dataset"))
    assert log.per_cycle().sum() == len(log.frame) == 3_000
    assert 100 < log.frame["user"].nunique() <= 3_000 // 15
    assert len(predictions(log, tmp_path / "3000" / "fusion", ("p_click",))["p_click"]) == 3_000
