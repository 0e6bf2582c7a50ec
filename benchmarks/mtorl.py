"""MTORL on the Criteo slice: `python -m benchmarks.mtorl [--json] [--ablation] [--parts a b c]`.

`--splits 0 1 2 --seeds 0 1 2` are the seeds of split and training. `--join FILE ...` puts the JSON of several such runs
together.

The slice is looked for in `../shared/data` or `$CROSSMIX_SHARED_DATA`, or named by `--data`. Its channel is `cat8`, a
context column that nobody chose (`data.criteo_channel`), as in the authors' code. Every model sees the step features of
`crossmix/journeys/layout.py` and predicts at each step the channel of the next exposure, and its click where it can.

| part | which steps train and test                                                                             |
|------|--------------------------------------------------------------------------------------------------------|
| a    | the authors' windows: 4,000 windows of 20, users drawn with replacement, the windows split 8:1:1        |
| b    | users apart: 7:1:2 by a hash of the user; every step is judged once, in windows of 20                   |
| c    | users and time apart: as b, trained before and judged after 0.7 of the period (validated up to 0.8)     |

In (a) test windows overlap training windows: its scores measure memory. `f1`, `precision`, `recall` are macro figures
pooled over steps; `per step` ones are means over places in the window, as the authors report; `nll` is in nats a step;
`auc` is of the click at the next exposure. `agreed clicks` is the paper's reward: clicks where the model's channel is
the log's, over exposures; `of the best` counts the 3/8 of the exposures at each place that the model ranks highest (own
click share, where it ranks none). It pays for agreeing with the log. Intervals are 95 %, by bootstrap over test users,
of one split and training seed; tables show means over runs. `--ablation` is of part b, first split and seed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._machine import machine
from crossmix.config import Data
from crossmix.ingest.engine import connect
from crossmix.journeys import learn, references
from crossmix.journeys.layout import of_log
from crossmix.journeys.log import Events, of_frame
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.references import Answers
from crossmix.journeys.score import Figure, score
from crossmix.journeys.settings import Journeys, laptop
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.told import tells
from crossmix.journeys.windows import (
    TEST,
    TRAIN,
    VALIDATION,
    Windows,
    by_user,
    cut,
    drawn,
    drawn_parts,
    overlap,
    scaler,
)
from crossmix.sources import read

SLICE = Path("criteo") / "criteo_sequence.csv.gz"
PARTS = ("a", "b", "c")
TEST_USERS, VALIDATION_USERS = 0.2, 0.1
TIMES = (0.7, 0.8)
"""Of the period, part c: training ends, and judging begins."""
WINDOWS = 4_000
FIGURES = (
    *("f1", "precision", "recall", "f1 per step", "precision per step", "recall per step"),
    *("accuracy", "nll", "auc", "agreed clicks", "agreed clicks of the best"),
)
PAPER = {
    "MTORL": (0.5002, 0.5424, 0.4893, 0.3203),
    "DT": (0.4303, 0.4922, 0.4101, 0.3083),
    "IQL": (0.3834, 0.4230, 0.3655, 0.2789),
    "CQL": (0.3395, 0.3906, 0.3173, None),
    "BCQ": (0.3440, 0.3854, 0.3326, 0.2996),
    "BC": (0.2850, 0.3311, 0.2659, None),
}
"""F1, precision, recall (table 2, Criteo) and average reward (table 3); its R-BCQ stands beside our BCQ. Not
comparable: other windows, features that hold what is written later, another number of channels' counting."""
GOALS = {"b: MTORL nll": ("<=", 0.922), "b: MTORL auc": (">=", 0.718)}
ABLATION: dict[str, dict[str, Any]] = {
    "MTORL": {},
    "without eq. 5 and 6 (TCN)": {"use_tcn": False},
    "without eq. 7 (attention)": {"use_attention": False},
    "without eq. 8's Add&Norm": {"use_norm": False},
    "without DPO (eq. 15)": {"dpo": 0.0},
    "without the reward loss (eq. 14)": {"mu": 0.0},
    "reward head sees the action": {"reward_sees_action": True},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A table of steps with its three parts."""

    table: Table
    train: Windows
    validation: Windows
    test: Windows


def load(path: Path, channel: str = "cat8") -> Events:
    """The slice's exposures, through the project's own reader."""
    with tempfile.TemporaryDirectory() as folder:
        data = Data(source="criteo", path=str(path), criteo_channel=channel)  # type: ignore[arg-type]
        raw = read(data, connect("duckdb", Path(folder)), Path(folder))
        assert raw.impressions is not None
        return of_frame(raw.impressions.to_pandas())


def case_of(events: Events, part: str, split: int, settings: Journeys) -> Case:
    """Windows of a part and split seed, with a scaler fitted on its training steps."""
    if part == "a":
        chosen = drawn_parts(drawn(events, settings.window, WINDOWS, split), split)
    else:
        of_U = by_user(events.users, TEST_USERS, VALIDATION_USERS, f"journeys {split} ")
        windows = cut(events, settings.window, settings.stride)
        user_N = events.user_R[windows.row_NT[:, 0]]
        chosen = tuple(windows.where(of_U[user_N] == name) for name in (TRAIN, VALIDATION, TEST))
        if part == "c":
            first, last = events.seconds_R.min(), events.seconds_R.max()
            ends, begins = (first + share * (last - first) for share in TIMES)
            answered_R = np.append(events.seconds_R[1:], np.inf)
            middle_R = (answered_R >= ends) & (answered_R < begins)
            train, validation, test = chosen
            chosen = (
                train.until(answered_R < ends).scoring(answered_R < ends),
                validation.until(answered_R < begins).scoring(middle_R),
                test.scoring(answered_R >= begins),
            )
    train, validation, test = chosen
    layout = of_log(events.rows(np.unique(train.row_S)), lately=settings.lately, summaries=settings.summaries)
    feature_RF = layout.features(events)
    table = tabulate(events, layout, feature_RF, scaler(layout, feature_RF, train.row_S))
    return Case(table, train, validation, test)


def mtorl(case: Case, seed: int, settings: Journeys, **changes: Any) -> Answers:
    """MTORL trained with that seed."""
    table, learning = case.table, replace(settings.learning, seed=seed)
    own = replace(settings.mtorl, **changes)
    module, _ = learn.train(
        lambda: Mtorl(table.layout.size, table.channels, learning.width, learning.dropout, own),
        table,
        case.train,
        case.validation,
        learning,
    )
    return references.of_logs(*learn.predict(module, table, case.test))


def models(settings: Journeys) -> dict[str, Callable[[Case, int], Answers]]:
    """What is compared, by name."""

    def reference(name: str) -> Callable[[Case, int], Answers]:
        return lambda case, seed: references.load(name)(case.table, case.train, case.validation, seed)(case.test)

    named = {name: reference(name) for name in references.NAMES}
    bare = replace(settings, summaries=False)
    return {
        "MTORL": lambda case, seed: mtorl(case, seed, settings),
        "MTORL, no summaries": lambda case, seed: mtorl(_without_summaries(case), seed, bare),
        **named,
    }


SEEDLESS = {"repeat-last", "markov", "cache mixture", "own click share", "1-NN"}
"""They draw nothing: one run a split, with training seed 0."""


def _without_summaries(case: Case) -> Case:
    events = case.table.events
    layout = replace(case.table.layout, summaries=False)
    feature_RF = layout.features(events)
    table = tabulate(events, layout, feature_RF, scaler(layout, feature_RF, case.train.row_S))
    return replace(case, table=table)


def run(events: Events, part: str, splits: Sequence[int], seeds: Sequence[int], settings: Journeys) -> dict[str, Any]:
    """Every model on every split of a part."""
    runs: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for split in splits:
        case = case_of(events, part, split, settings)
        own_S = references.load("own click share")(case.table, case.train, case.validation, 0)(case.test).click_S
        log = Answers(case.table.next_channel(case.test.row_S), None, None)
        told.append(
            {
                "split": split,
                "overlap": asdict(overlap(events, case.train, case.test)),
                "steps": {name: len(getattr(case, name).row_S) for name in ("train", "validation", "test")},
                "test users": len(np.unique(events.user_R[case.test.row_S])),
                "the log itself": {
                    name: asdict(one)
                    for name, one in score(log, case.table, case.test, rank_S=own_S).items()
                    if name.startswith("agreed")
                },
                "told": tells(case.table, case.train, case.test).sentence,
            }
        )
        for name, answer in models(settings).items():
            for seed in [one for one in seeds if not one or name not in SEEDLESS]:
                cpu = time.process_time()
                found = score(answer(case, seed), case.table, case.test, rank_S=own_S)
                cpu = time.process_time() - cpu
                runs.append({"model": name, "split": split, "seed": seed, "cpu seconds": cpu, **_plain(found)})
                print(f"{part} split {split} seed {seed} {name}: {cpu:.0f} CPU s", file=sys.stderr, flush=True)
    return {"windows": told, "runs": runs, "summary": summary(runs)}


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Per model and figure: mean over runs, and of the first run its value and interval."""
    names = list(dict.fromkeys(one["model"] for one in runs))
    table: dict[str, dict[str, Any]] = {}
    for name in names:
        mine = [one for one in runs if one["model"] == name]
        table[name] = {"runs": len(mine)}
        for figure in FIGURES:
            values = [one[figure]["value"] for one in mine if figure in one]
            if values:
                table[name][figure] = {
                    "mean": float(np.mean(values)),
                    "least": min(values),
                    "most": max(values),
                    "first": mine[0][figure],
                }
    return table


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Runs of several results under one: windows and runs by part and split, summaries and goals made anew.

    Raises:
        ValueError: they were run with other settings, or one run is in two of them.
    """
    whole: dict[str, Any] = {**results[0], "parts": {}}
    for result in results:
        if result["settings"] != whole["settings"] or result["exposures"] != whole["exposures"]:
            raise ValueError("--join: the results are of other settings or data; join those of one kind")
        whole |= {name: result[name] for name in ("ablation",) if name in result}
        for part, of in result["parts"].items():
            mine = whole["parts"].setdefault(part, {"windows": [], "runs": []})
            mine["windows"] += [one for one in of["windows"] if one not in mine["windows"]]
            mine["runs"] += of["runs"]
    for of in whole["parts"].values():
        keys = [(one["model"], one["split"], one["seed"]) for one in of["runs"]]
        if len(set(keys)) < len(keys):
            raise ValueError("--join: a run is in two of the results; give each once")
        of["runs"].sort(key=lambda one: (one["split"], one["seed"]))
        of["summary"] = summary(of["runs"])
    whole["parts"] = {part: whole["parts"][part] for part in PARTS if part in whole["parts"]}
    whole["goals"] = goals(whole)
    whole["machine"] = [result["machine"] for result in results]
    return whole


def ablate(events: Events, settings: Journeys) -> dict[str, Any]:
    """MTORL without one of its parts, users apart, first split and seed."""
    case = case_of(events, "b", 0, settings)
    return {
        name: _plain(score(mtorl(case, 0, settings, **changes), case.table, case.test))
        for name, changes in ABLATION.items()
    }


def _plain(found: dict[str, Figure]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in found.items()}


def _row(name: str, of: dict[str, Any], figures: Sequence[str], value: Callable[[Any], Any]) -> str:
    cells = [f"{value(of[one]):.3f}" if one in of else "-" for one in figures]
    paper = PAPER.get(name)
    return f"{name:<34}" + "".join(f"{cell:>12}" for cell in cells) + (f"{paper[0]:>16.4f}" if paper else f"{'-':>16}")


def show(result: dict[str, Any]) -> None:
    """Tables of means over runs."""
    figures = ("f1", "f1 per step", "accuracy", "nll", "auc", "agreed clicks", "agreed clicks of the best")
    short = ("f1", "per step", "accuracy", "nll", "auc", "agreed", "of the best")
    head = f"{'':<34}" + "".join(f"{one:>12}" for one in short) + f"{'paper, F1 (*)':>16}"
    for part, of in result["parts"].items():
        first = of["windows"][0]
        shares = ", ".join(f"{share:.1%} {name}" for name, share in first["overlap"].items())
        print(f"\n({part}) trained on of the test set: {shares}; {first['test users']:,} test users; {first['told']}")
        own = ", ".join(f"{name} {one['value']:.3f}" for name, one in first["the log itself"].items())
        print(f"the log itself: {own}\n{head}")
        for name, line in of["summary"].items():
            print(_row(name, line, figures, lambda one: one["mean"]))
    if "ablation" in result:
        print(f"\nablation, (b), split 0, seed 0\n{head}")
        for name, line in result["ablation"].items():
            print(_row(name, line, figures, lambda one: one["value"]))
    print("\n(*) not comparable: the authors' windows and features, theirs hold what is written later")


def main() -> None:
    """Run as the module docstring says."""
    parser = argparse.ArgumentParser(description="MTORL beside what it has to beat, on the Criteo slice")
    shared = os.environ.get("CROSSMIX_SHARED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(shared) / SLICE)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--join", type=Path, nargs="+", default=[])
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.join:
        joined = join([json.loads(file.read_text()) for file in asked.join])
        print(json.dumps(joined, indent=1)) if asked.json else show(joined)
        return
    if not asked.data.exists():
        missing = f"{SLICE.name} is not there: nothing was measured; name it by --data, or set CROSSMIX_SHARED_DATA"
        print(json.dumps({"skipped": missing}) if asked.json else missing)
        return
    torch.set_num_threads(1)
    before = os.getloadavg()
    settings = laptop()
    events = load(asked.data)
    campaigns = load(asked.data, "campaign")
    result: dict[str, Any] = {
        "settings": asdict(settings),
        "exposures": len(events),
        "users": len(events.users),
        "campaigns as channels": _told(campaigns, settings),
        "paper": PAPER,
        "parts": {part: run(events, part, asked.splits, asked.seeds, settings) for part in asked.parts},
    }
    if asked.ablation:
        result["ablation"] = ablate(events, settings)
    result["goals"] = goals(result)
    result["machine"] = machine(before)
    if asked.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)


def _told(events: Events, settings: Journeys) -> str:
    case = case_of(events, "b", 0, settings)
    return tells(case.table, case.train, case.test).sentence


def goals(result: dict[str, Any]) -> dict[str, Any]:
    """Each goal with what MTORL has on average over the runs."""
    met: dict[str, Any] = {}
    for name, (sign, edge) in GOALS.items():
        part, figure = name.split(": MTORL ")
        if part in result["parts"]:
            value = result["parts"][part]["summary"]["MTORL"][figure]["mean"]
            met[name] = {
                "goal": f"{sign} {edge}",
                "value": value,
                "met": value <= edge if sign == "<=" else value >= edge,
            }
    return met


if __name__ == "__main__":
    main()
