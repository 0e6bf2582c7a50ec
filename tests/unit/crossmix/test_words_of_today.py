"""Of one small history, whatever is called by the same words is the same number: budget, split and revenue of today."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossmix import whatif
from crossmix.allocate import explain
from crossmix.bundle import Bundle
from crossmix.config import load
from crossmix.evaluate.decision.table import decided, told
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import read
from crossmix.market.logged_states import statistics
from crossmix.state import ALLOCATION
from pipelines.cli.recommend import Answer
from pipelines.cli.whatif import table
from tests.support.histories import ingested
from tests.support.planned_bundles import publish
from tests.support.planted import history, planted


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `whatif`, `allocate` and the decision say of it."""
    folder = tmp_path_factory.mktemp("today")
    config, frame = load("laptop", ["data.source=spend", "data.path=history.csv"]), history(planted(), 98, 7)
    dataset = ingested(folder, frame)
    log = read(dataset)
    served, judged = estimate(config, dataset, log, None, "all"), estimate(config, dataset, log, None)
    (campaign,) = served.campaigns
    bundle: Bundle = publish(folder / "bundle", market=served)
    row_X = statistics(dataset, config)[list(ALLOCATION.names)].to_numpy(np.float32)[-1]
    days = sorted(frame["date"].unique())[-log.meta.today_cycles :]
    return {
        "whatif": whatif.ask(whatif.make_scene(served), simulated_cycles=0),
        "policy": explain(bundle, row_X, campaign, bundle.responses[campaign]),
        "kept": explain(bundle, row_X, campaign, bundle.responses[campaign], keep=True),
        "decision": told(config, decided(config, judged, served, log)),
        "spent": float(frame[frame["date"].isin(days)]["spend"].sum()) / len(days),
        "plan": bundle.plans[campaign],
    }


def test_todays_budget_is_the_mean_of_the_last_window_everywhere(answers: dict[str, Any]) -> None:
    (own,) = answers["decision"].campaigns
    known = [own.budget, answers["whatif"].budget, answers["policy"].budget, answers["plan"].cycle_budget]
    assert known == pytest.approx([answers["spent"]] * 4, rel=1e-5)


def test_todays_split_is_one(answers: dict[str, Any]) -> None:
    (own,) = answers["decision"].campaigns
    today = list(answers["whatif"].today)
    assert [one.today for one in own.platforms] == pytest.approx(today, abs=1e-6)
    assert [one.share for one in answers["kept"].platforms] == pytest.approx(today, abs=1e-6)


def test_revenue_of_todays_split_on_an_average_day_is_one(answers: dict[str, Any]) -> None:
    """`allocate` tells it beside the coming cycle's, which is another."""
    average = answers["whatif"].budgets[0].today.revenue.value
    for one in (answers["policy"], answers["kept"]):
        assert one.usual_static_revenue == pytest.approx(average, rel=2e-3)
        assert one.as_dict()["usual_static_revenue"] == one.usual_static_revenue
    assert answers["kept"].expected_revenue == pytest.approx(answers["kept"].static_revenue, rel=1e-6)
    lines = Answer(answers["policy"], None).table().splitlines()
    (plan,) = (line for line in lines if line.startswith("the plan's static split should earn"))
    usual = f"{answers['policy'].usual_static_revenue:,.2f}"
    assert plan.endswith(
        f"should earn {answers['policy'].static_revenue:,.2f} in it, {usual} on an average day without drift"
    )
    kept = Answer(answers["kept"], None, fit_alone=answers["policy"]).table()
    assert f"today's split should earn {usual} on an average day without drift" in kept
    assert "average weekday, without drift" in table(answers["whatif"])


def test_what_is_judged_is_what_is_served(answers: dict[str, Any]) -> None:
    """One fit, that on all of the history: revenue of today's split is the same to the decision and to every answer."""
    decision = answers["decision"]
    (own,) = decision.campaigns
    assert own.revenue == pytest.approx(sum(one.revenue_today for one in own.platforms))
    assert own.revenue == pytest.approx(answers["policy"].usual_static_revenue, rel=2e-3)
    assert own.revenue == pytest.approx(answers["whatif"].budgets[0].today.revenue.value, rel=2e-3)
