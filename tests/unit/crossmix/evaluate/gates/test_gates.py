"""Gate verdicts, and the competitors that the policy gates use."""

import importlib
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crossmix.baselines.fields import weekday
from crossmix.baselines.registry import BASELINES, state_readers
from crossmix.config import ConfigError, laptop, load
from crossmix.evaluate.fidelity.impressions import Deviation
from crossmix.evaluate.gates import policy as gates
from crossmix.evaluate.gates.case import Case
from crossmix.evaluate.gates.fidelity import equivalence
from crossmix.evaluate.gates.verdicts import required_of
from crossmix.evaluate.judge import interval
from crossmix.evaluate.stats.off_policy import ENOUGH
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.verdicts import Gate, is_required
from tests.support.markets import make_market


@pytest.mark.parametrize(
    ("deviation", "verdict"),
    [
        (Deviation(0.01, -0.02, 0.04, 5_000), "pass"),
        (Deviation(0.01, -0.02, 0.052, 5_000), "insufficient data"),
        (Deviation(0.06, 0.04, 0.08, 5_000), "fail"),
        (Deviation(0.10, 0.06, 0.14, 5_000), "fail"),
        (Deviation(0.20, 0.06, 0.40, 100), "fail"),
        (Deviation(0.01, -0.07, 0.09, 300), "insufficient data"),
        (Deviation(0.0, -0.01, 0.01, 19), "insufficient data"),
        (Deviation(float("nan"), -np.inf, np.inf, 50), "insufficient data"),
    ],
)
def test_equivalence(deviation: Deviation, verdict: str) -> None:
    gate = equivalence("fidelity.platform.x.ctr", deviation, 0.05, False)
    assert gate.verdict == verdict
    if verdict == "insufficient data":
        assert "needed" in gate.detail


def test_a_deviation_that_lacks_data_says_how_many_days() -> None:
    """Half-width 8 %, 4 % of room: four times the data, three times the history more."""
    gate = equivalence("fidelity.campaign.ctr", Deviation(0.01, -0.07, 0.09, 300), 0.05, True, days=182)
    assert gate.verdict == "insufficient data"
    assert gate.detail.endswith("; about 546 more days")


def test_which_gates_are_required_depends_on_the_kind_of_log() -> None:
    config = load("laptop", ['gates.required_of_history=["decision.gain"]'])
    assert required_of(config, aggregate=True) == ("decision.gain",)
    assert required_of(config, aggregate=False) == config.gates.required
    with pytest.raises(ConfigError, match=r"gates\.required_of_history: no gate is called 'decisions'"):
        load("laptop", ['gates.required_of_history=["decisions"]'])


def test_the_papers_own_example_fails_its_gate() -> None:
    """0.35 simulated against 0.33 real is 6.1 % off (§2.2)."""
    value = 0.35 / 0.33 - 1
    assert equivalence("roi", Deviation(value, value - 0.01, value + 0.01, 10_000), 0.05, True).verdict == "fail"


def test_required_prefixes_end_at_dots() -> None:
    assert is_required("policy.limits", ("policy",))
    assert is_required("policy", ("policy",))
    assert not is_required("policy_x.limits", ("policy",))


def test_a_row_is_required_where_the_config_says_so() -> None:
    case = SimpleNamespace(config=laptop(), required=("policy", "fidelity.platform"))
    names = ("policy.limits", "fidelity.platform.x.ctr", "fidelity.campaign.ctr")
    rows = [Case.gate(case, name, 0.5, "< 1", "pass", "why") for name in names]  # type: ignore[arg-type]
    assert [row.required for row in rows] == [True, True, False]
    assert rows[0] == Gate("policy.limits", 0.5, "< 1", "pass", True, "why")


def test_the_off_policy_gate_says_what_it_waits_for() -> None:
    case = SimpleNamespace(config=laptop(), required=laptop().gates.required)
    case.gate = partial(Case.gate, case)
    (gate,) = gates.off_policy(case)
    assert (gate.name, gate.value, gate.verdict) == ("policy.off_policy", None, "not applicable")
    for part in (
        "no propensities",
        "serving.explore",
        f"{ENOUGH:g} campaign cycles with feedback",
        "No step reads them yet",
    ):
        assert part in gate.detail
    for name in ("crossmix.ledger.served.read", "crossmix.evaluate.stats.off_policy.estimate"):
        assert name in gate.detail
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


def test_interval_covers_its_mean() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.1, 20)
    row = interval(values, 2_000)
    assert row["ci95"][0] < row["mean"] < row["ci95"][1]
    half = (row["ci95"][1] - row["ci95"][0]) / 2
    assert half == pytest.approx(1.96 * values.std() / 20**0.5, rel=0.15)


@pytest.mark.parametrize("name", [baseline.name for baseline in state_readers()])
def test_competitors_keep_the_limits(name: str) -> None:
    market = make_market(maximum=0.3)
    environment = MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, 8), cycles=5, mechanism="counts", seed=3
    )
    act = BASELINES.get(name).split(market)
    for _ in range(3):
        seen = environment.observe()
        share = act(seen.state_BS, seen.low_BP, seen.high_BP, environment.campaign_B)
        torch.testing.assert_close(share.sum(1), torch.ones(8), atol=1e-5, rtol=0)
        assert (share <= seen.high_BP + 1e-5).all()
        assert (share >= seen.low_BP - 1e-5).all()
        environment.step(share)


def test_static_is_forty_thirty_rest() -> None:
    from dataclasses import replace

    market = replace(make_market(platforms=4), platforms=("video", "search", "news", "social"))
    share = BASELINES.get("static").split(market)(
        torch.zeros(1, 640), torch.zeros(1, 4), torch.ones(1, 4), torch.tensor([0])
    )
    torch.testing.assert_close(share, torch.tensor([[0.15, 0.3, 0.15, 0.4]]))


def test_weekday_survives_the_state() -> None:
    market = make_market()
    environment = MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, 4), cycles=9, mechanism="counts", seed=3
    )
    for _ in range(8):
        seen = environment.observe()
        assert torch.equal(weekday(seen.state_BS), environment.weekday_B)
        environment.step(torch.full((4, 10), 0.1))


class Waiting:
    """A bundle whose calls wait for `seconds`, and work for none."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def example(self) -> dict[str, None]:
        return dict.fromkeys(("state", "low", "high"))

    def allocate(self, *_: None) -> None:
        time.sleep(self.seconds)


def test_latency_is_processor_time() -> None:
    """Waiting, as on a machine that does other work, refuses no policy."""
    assert gates.measure_latency_ms(Waiting(0.02), calls=20) <= 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lead", "low", "oracle", "verdict"),
    [
        (0.01, 0.002, 0.02, "pass"),
        (0.00002, 0.00001, 0.0, "pass"),
        # One platform a campaign: all split alike, to the last digits.
        (-0.00005, -0.00006, 0.0, "insufficient data"),
        (0.0, -0.0001, 0.0004, "insufficient data"),
        # The oracle shows that there is something to win.
        (-0.00005, -0.00006, 0.03, "fail"),
        (-0.02, -0.03, 0.0, "fail"),
    ],
)
def test_where_even_the_oracle_has_nothing_to_win_a_tie_is_no_failure(
    lead: float, low: float, oracle: float, verdict: str
) -> None:
    """`oracle`: its lead over the policy."""
    told = {
        "uniform": {"clairvoyant": False, "difference": {"mean": lead, "ci95": (low, lead + (lead - low))}},
        "oracle": {"clairvoyant": True, "difference": {"mean": -oracle, "ci95": (-oracle, -oracle)}},
    }
    case = SimpleNamespace(
        policies=told,
        records={"uniform": SimpleNamespace(total_NPQ=np.zeros((4, 1, 1)))},
        gate=lambda name, value, threshold, verdict, detail: Gate(name, value, threshold, verdict, True, detail),
    )
    (gate,) = gates.beats_competitors(case)  # type: ignore[arg-type]
    assert (gate.name, gate.verdict) == ("policy.beats.uniform", verdict)
    assert ("limits leave nothing to win" in gate.detail) == (verdict == "insufficient data")
