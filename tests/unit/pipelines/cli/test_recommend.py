"""The table of `crossmix allocate`."""

from __future__ import annotations

from pathlib import Path

from crossmix.allocate import explain
from crossmix.state import ALLOCATION
from pipelines.cli.recommend import table
from tests.support.markets import make_market
from tests.support.planned_bundles import publish, states


def test_it_has_a_column_of_what_differs_from_usual_and_the_reasons_of_the_whole(tmp_path: Path) -> None:
    market = make_market(seed=3, campaigns=2, platforms=4)
    bundle = publish(tmp_path / "bundle", moved=0.3, market=market)
    statistics = ALLOCATION.statistics(states(market, 1).numpy())[0]
    answer = explain(bundle, statistics, "c0", bundle.responses["c0"])
    lines = table(answer).splitlines()
    heading = next(line for line in lines if line.startswith("platform"))
    start = heading.index("differs from usual")
    rows = {line.split()[0]: line for line in lines if line.startswith("p")}
    for platform in answer.platforms:
        assert rows[platform.platform][start:] == platform.differs
        assert platform.reason in rows[platform.platform]
    for line in answer.reasons:
        assert line in lines
    assert any(line.startswith("Away from its base plan the trained network moved ") for line in lines)
    assert "(fitting error, given what the policy believes)" in table(answer)
