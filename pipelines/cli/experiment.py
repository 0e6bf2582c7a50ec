"""`crossmix experiment`: what an experiment needs, how one would go in a run's fitted market, how a real one stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from crossmix.metrics import ARMS
from crossmix.pages import format as formats
from crossmix.schema import campaign_called
from pipelines import local


def _of_run(out: Path) -> tuple[Any, Any]:
    from crossmix.config import from_json
    from crossmix.market.model import load_served

    config = local.run_config(out)
    return from_json(json.dumps(config)), load_served(local.step_folder(out, "market"))


def plan(out: Path, lift: float, power: float, level: float, weight: float) -> dict[str, Any]:
    """Days and budget until a lift of ROI is found, from the noise of simulated A/A days; of a spend history also each
    campaign's cheapest test of what more money earns."""
    from crossmix.evaluate.simulate import deviation
    from crossmix.evaluate.stats.sequential import check_question, days_needed, power_of

    check_question(lift, power, level)
    from pipelines.cli.standing import first_tests

    config, market = _of_run(out)
    noise, period = deviation(config, market, (weight, 1 - weight))
    days = days_needed(lift, noise, power, level) * period
    # What is over spends nothing today, whatever it spent then.
    budget = float(market.budget[market.running].sum())
    return {
        "lift": lift,
        "power": power,
        "level": level,
        "weight": weight,
        "deviation_of_a_figure": noise,
        "cycles_per_figure": period,
        "cycles": days,
        "cycle_hours": market.cycle_hours,
        "budget": days * budget,
        "daily_budget": budget * 24 / market.cycle_hours,
        "currency": market.currency,
        "power_after_7_14_28_cycles": [
            power_of(lift, noise, n // period, level) if n >= 2 * period else 0.0 for n in (7, 14, 28)
        ],
        "generated": market.generated,
        "first_tests": first_tests(out),
    }


def simulate(out: Path, days: int, runs: int, level: float, weight: float, *, online: bool = False) -> dict[str, Any]:
    """The run's bundle against the static split; `online`: beside it the policy that explores, and that also learns."""
    import torch

    from crossmix import bundle
    from crossmix.config import ConfigError
    from crossmix.evaluate import simulate as trial
    from crossmix.evaluate.play import Act

    config, market = _of_run(out)
    if not (out / "bundle").is_dir():
        raise ConfigError(f"{out}: it has no bundle, as its gates did not pass; only a policy that passed is simulated")
    served = bundle.load(out / "bundle")

    def serve(_: Any, observation: Any) -> torch.Tensor:
        share = served.allocate(
            *(x.numpy().astype(np.float32) for x in (observation.state_BS, observation.low_BP, observation.high_BP))
        )
        return torch.from_numpy(np.ascontiguousarray(share[:, : len(market.platforms)]))

    others: dict[str, Act] = {}
    if online:
        from crossmix.evaluate.simulate_online import OnlineArm
        from crossmix.training.policy_file import load_policy

        # What the bundle was exported from, as a network that can be trained on.
        policy = load_policy(local.step_folder(out, "align"))
        others = {
            "exploring": OnlineArm(policy, config, runs, trial.FIRST_SEED, learns=False),
            "online": OnlineArm(policy, config, runs, trial.FIRST_SEED),
        }
    simulated = trial.simulate(
        config, market, serve, (weight, 1 - weight), runs=runs, days=days, level=level, others=others
    )
    return simulated | {"bundle": served.digest, "sigma": config.online.sigma if online else None}


def status(
    server: str | None, database: str | None, token: str | None, experiment: str | None, html: Path | None
) -> dict[str, Any]:
    """How the experiment stands: by a running server, or straight from its database.

    Args:
        server: its address; the local one if neither this nor `database` is given.
        database: SQLAlchemy URL, as sqlite:///out/demo/serving/serving.db; guardrails are then shown by their defaults.
        token: of scope read, where the server asks for one.
        experiment: id; the one that began last if absent.
        html: where the page goes too.

    Raises:
        ConfigError: options that exclude each other, a database that cannot be read, a file that cannot be written.
        AskError: the server is away or refuses.
        VerdictError: there is no such experiment.
    """
    from crossmix.config import ConfigError
    from pipelines.cli.client import LOCAL, ask, check_one

    check_one(server, database)
    if html is not None and not html.parent.is_dir():
        raise ConfigError(f"--html {html}: its folder does not exist; make it or name another file")
    if database is not None:
        judged = _from_database(database, experiment)
    else:
        path = ["experiment.json"] if experiment is None else ["experiments", experiment]
        judged = ask(server or LOCAL, token, "GET", path)
    if html is not None:
        from serving.experiment.verdict import render

        try:
            html.write_text(render(judged), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--html {html}: cannot be written ({error.strerror}); name another file") from None
    return judged


def _from_database(url: str, experiment: str | None) -> dict[str, Any]:
    from crossmix.ledger.experiments import newest
    from pipelines.cli.database import opened
    from serving.experiment.verdict import status as judged

    with opened(url) as store:
        return judged(store, experiment or newest(store), store.clock())


def plan_table(planned: dict[str, Any]) -> str:
    """A plan for people."""
    after = ", ".join(
        f"{n}: {power:.0%}" for n, power in zip((7, 14, 28), planned["power_after_7_14_28_cycles"], strict=True)
    )
    return "\n".join(
        [
            f"to find a lift of {planned['lift']:+.1%} in ROI with power {planned['power']:.0%}, "
            f"level {planned['level']:g}, arms {planned['weight']:.0%} : {1 - planned['weight']:.0%}:",
            f"  {planned['cycles']} cycles of {planned['cycle_hours']} h, "
            f"a budget of {planned['budget']:,.0f} {planned['currency']}",
            f"  from a deviation of {planned['deviation_of_a_figure']:.3f} of the log-ratio of "
            f"{_cycles(planned['cycles_per_figure'])} (A/A in the fitted market"
            f"{', of a GENERATED log' if planned['generated'] else ''})",
            f"  power after so many cycles: {after}",
            *(
                f"to learn what more money earns, {campaign_called(campaign)}: {told}"
                for campaign, told in planned.get("first_tests", {}).items()
            ),
        ]
    )


def _cycles(number: int) -> str:
    return "a cycle" if number == 1 else f"{number} cycles together, as single ones may earn nothing"


def simulation_table(simulated: dict[str, Any]) -> str:
    """A simulation for people."""
    lines = [
        f"{simulated['runs']} experiments of {simulated['days']} cycles, policy {simulated['weights']['policy']:.0%}, "
        f"control {simulated['weights']['control']:.0%}"
        f"{'; fitted on a GENERATED log' if simulated['generated'] else ''}",
        "",
        f"{'':<28}{'lift of ROI':>30}{'always-valid':>14}{'paired':>9}{'Welch':>8}",
    ]
    labels = {
        "experiment": "policy against control",
        "exploring": "exploring against control",
        "online": "learning against control",
        "a_a": "control against control",
    }
    for name, label in labels.items():
        if name not in simulated:
            continue
        row = simulated[name]
        low, high = row["lift"]["range95"]
        lift = formats.lift(row["lift"]["mean"], low, high)
        lines.append(
            f"{label:<28}{lift:>30}{row['always_valid_found_by_day'][-1]:>14.1%}"
            f"{row['paired_found_at_end']:>9.1%}{row['welch_found_at_end']:>8.1%}"
        )
    if "online" in simulated:
        lead = {name: _lead(one) for name, one in simulated["online"]["lead"].items()}
        lines += [
            "",
            f"exploring: the policy with the noise that online learning needs, {simulated['sigma']:g} on its logits; "
            "learning: that with eq. 12's daily updates",
            f"expected revenue with updates over that without: {lead['over_exploring']} with the same exploration, "
            f"{lead['over_experiment']} against the policy as it is",
            f"what exploration costs: {_lead(simulated['exploring']['lead']['over_experiment'])}",
        ]
    first = simulated["experiment"]["first_run"]["always_valid"]
    reached = next(
        (d + 1 for d, part in enumerate(simulated["experiment"]["always_valid_found_by_day"]) if part >= 0.5), None
    )
    rewards = simulated["experiment"]["dynamic_reward"]
    lines += [
        "",
        f"a figure is made of {_cycles(simulated['days_per_figure'])}",
        "columns: part of the experiments in which the test found a difference; always-valid: looked at every cycle",
        f"half of the experiments are decided by cycle {reached}" if reached else "fewer than half are decided",
        "an arm with less money leaves more of it unspent: what control against control earns more is mostly that",
        f"reward of eq. 10, mean of cycles, which decides nothing: policy {rewards['policy']:.4g}, control "
        f"{rewards['control']:.4g}",
        f"the first experiment's verdict: {formats.lift(first['lift'], *first['ci95'])}",
    ]
    return "\n".join(lines)


def _lead(one: dict[str, Any]) -> str:
    low, high = one["ci95"]
    return f"{one['mean']:+.2%} [{low:+.2%}, {high:+.2%}]"


def status_table(status: dict[str, Any]) -> str:
    """A status for people."""
    about, behind = status["experiment"], status.get("behind", False)
    lines = [
        status["verdict"]["line"],
        "",
        f"experiment {about['id']}, begun {about['started'][:16].replace('T', ' ')} UTC, "
        f"{status['cycles']['finished']} of {about['planned_cycles']} cycles of {about['cycle_hours']:g} h"
        f"{', money in ' + status['currency'] if status['currency'] else ''}",
        *([f"as of {status['as_of'][:19].replace('T', ' ')} UTC; what came since is being added"] if behind else []),
        f"sample ratio  {status['sample_ratio']['verdict']}: {status['sample_ratio']['reason']}",
        "",
        f"{'':<12}{'policy':>10}{'control':>10}{'lift, always-valid':>28}{'paired':>26}{'p, Welch':>10}",
    ]
    for name, one in status["lifts"].items():
        values = [status["arms"][arm][name]["value"] for arm in ARMS]
        cells = "".join(f"{'-' if value is None else f'{value:.4g}':>10}" for value in values)
        if "paired" in one:
            p = one["welch"].get("p")
            cells += f"{_interval(one['always_valid']):>28}{_interval(one['paired']):>26}"
            cells += f"{'-' if p is None else f'{p:.3f}':>10}"
        else:
            cells += f"  {one['verdict']}: {one['reason']}"
        lines.append(f"{name:<12}{cells}")
    rewards = [status["dynamic_reward"][arm]["mean"] for arm in ARMS]
    cells = "".join(f"{'-' if value is None else f'{value:.4g}':>10}" for value in rewards)
    lines.append(f"{'reward':<12}{cells}  eq. 10, mean of cycles; it decides nothing")
    lines.append("")
    if len(status["currencies"]) > 1:
        lines += [_of_currency(name, part) for name, part in status["currencies"].items()] + [""]
    lines += [f"{rail['verdict']:<18}{rail['sentence']}" for rail in status["guardrails"]]
    users = status["users"]
    lines.append("")
    if "users" in users:
        for name, one in users.items():
            if isinstance(one, dict) and "difference" in one:
                cuped = one["cuped"]
                also = _absolute(cuped) if "difference" in cuped else f"{cuped['verdict']}, {cuped['reason']}"
                lines.append(f"per user {name:<6} {_absolute(one)}; CUPED {also}")
    else:
        lines.append(f"per user      {users['verdict']}: {users['reason']}")
    lines += ["", *(f"- {note}" for note in status["notes"])]
    return "\n".join(lines)


def _of_currency(name: str, part: dict[str, Any]) -> str:
    """ROI's lift of one of several currencies, and what it says by itself."""
    roi = part["lifts"]["roi"]
    told = (
        f"{_interval(roi['always_valid'])}, {part['word']}"
        if "always_valid" in roi
        else f"{part['word']}, {roi['reason']}"
    )
    return f"roi in {name:<5}{part['weight']:>5.0%} of the lift  {told}"


def _interval(one: dict[str, Any]) -> str:
    return formats.lift(one["lift"], one["low"], one["high"])


def _absolute(one: dict[str, Any]) -> str:
    return f"{one['difference']:+.4g} [{one['low']:+.4g}, {one['high']:+.4g}], p {one['p']:.3f}"
