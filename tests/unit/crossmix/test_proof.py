"""Limits that leave no split where a proof set some of them: whose they are, and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossmix import bundle as bundles
from crossmix.allocate import explain
from crossmix.bundle import Bundle
from crossmix.constraints import InfeasibleError
from crossmix.state import ALLOCATION
from pipelines.cli.recommend import change
from tests.support.markets import make_market
from tests.support.planned_bundles import publish, states

TODAY = (0.2, 0.3, 0.4, 0.1)
NARROWED = {"c0": {"min": ["p0", "p1", "p2", "p3"], "max": ["p0", "p1", "p2", "p3"]}}


def held(folder: Path, least: float = 0.01, most: float = 0.01) -> tuple[Bundle, object]:
    """A bundle whose proof keeps every platform so near today's split, and a state of its campaign."""
    today = torch.tensor([TODAY])
    market = make_market(seed=3, campaigns=1, platforms=4)
    market = replace(market, static=today, minimum=today - least, maximum=today + most)
    publish(folder / "bundle", market=market)
    return bundles.annotate(folder / "bundle", [], narrowed=NARROWED), ALLOCATION.statistics(states(market, 1).numpy())[
        0
    ]


def refused(asked: tuple[Bundle, object], *limits: str) -> str:
    bundle, statistics = asked
    with pytest.raises(InfeasibleError) as error:
        explain(bundle, statistics, "c0", bundle.responses["c0"], change=change(limits))  # type: ignore[arg-type]
    return str(error.value)


def test_mins_that_a_proof_set_are_named_with_where_they_come_from_and_the_remedy(tmp_path: Path) -> None:
    asked = held(tmp_path)
    # 0.29 + 0.39 + 0.09 = 0.77 is the proof's: 0.23 is left.
    assert refused(asked, "p0:0.9:0.95") == (
        "limits: the mins sum to 1.67, above 1; lower one of them. Nobody set the min of p1 29.0%, p2 39.0%, p3 9.0%: "
        "the proof did, within 1 point of today's split, beyond which nothing was proved. Give p0 a min of at most "
        "23.0%, or lift the others' limits, too: --limit p1:0: --limit p2:0: --limit p3:0:"
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (["p0:0.9:0.95"], "Give p0 a min of at most 23.0%"),
        # 0.31 + 0.41 + 0.11 = 0.83 is the most that the proof leaves the others.
        (["p0:0:0.1"], "Give p0 a max of at least 17.0%, or lift the others' limits, too: --limit p1::1 --limit p2::1"),
        (["p0:0.9:"], "the max of p0 21.0%: the proof did, within 1 point of today's split"),
        (["p0::0.1"], "the min of p0 19.0%: the proof did, within 1 point of today's split"),
        (["p0:0.5:0.6", "p3:0.2:0.3"], "Give p0 and p3 a min of at most 32.0% together"),
    ],
    ids=["mins", "maxes", "above the max", "below the min", "two"],
)
def test_the_remedy_leaves_a_split(tmp_path: Path, limits: list[str], words: str) -> None:
    bundle, statistics = asked = held(tmp_path)
    assert words in refused(asked, *limits)
    for _ in range(3):  # what lifts one limit may meet the next
        told = refused(asked, *limits)
        limits = [*limits, *re.findall(r"--limit (\S+)", told)]
        try:
            answer = explain(bundle, statistics, "c0", bundle.responses["c0"], change=change(limits))  # type: ignore[arg-type]
        except InfeasibleError:
            continue
        assert sum(one.share for one in answer.platforms) == pytest.approx(1)
        return
    raise AssertionError(limits)


def test_a_proof_of_a_change_is_not_called_todays_split(tmp_path: Path) -> None:
    told = refused(held(tmp_path, least=0.05), "p0:0.9:0.95")
    assert "the proof did, between today's split and the one that was proved, beyond" in told


def test_limits_that_were_set_and_leave_no_split_with_any_others_are_no_proofs(tmp_path: Path) -> None:
    asked = held(tmp_path)
    assert refused(asked, "p0:0.6:0.7", "p1:0.6:0.7") == "limits: the mins sum to 1.68, above 1; lower one of them"
    assert "above its max 0.5; lower the min or raise the max" in (told := refused(asked, "p0:0.6:0.5"))
    assert "proof" not in told


def test_where_nothing_was_proved_nothing_is_said_of_it(tmp_path: Path) -> None:
    market = replace(make_market(seed=3, campaigns=1, platforms=4), minimum=torch.full((1, 4), 0.2))
    plain = publish(tmp_path / "plain", market=market)
    told = refused((plain, ALLOCATION.statistics(states(market, 1).numpy())[0]), "p0:0.9:1")
    assert told == "limits: the mins sum to 1.5, above 1; lower one of them"
