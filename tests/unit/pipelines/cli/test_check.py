"""`crossmix check`: a history in words and a picture, and one clear line for what cannot be used."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from crossmix.config import ConfigError, load
from crossmix.ingest.checked import check, missing
from crossmix.sources.history import numbers, text
from pipelines.cli.check import settings, told
from pipelines.cli.main import app
from tests.support.drawn_axes import feet
from tests.support.histories import sound

FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def wandering(days: int = 60) -> pd.DataFrame:
    """A history in which social's spend never moves, video began late and has a campaign of its own."""
    history = sound(days).assign(campaign="spring")
    video = history[history["platform"] == "search"][30:].assign(platform="video", campaign="autumn")
    video["impressions"] += 300
    history.loc[history["platform"] == "social", "spend"] = 200.0
    history.loc[4, "clicks"] = "many"
    return pd.concat([history, video])


def test_it_tells_what_is_there_and_what_can_be_answered(tmp_path: Path) -> None:
    file, picture = tmp_path / "history.csv", tmp_path / "picture.svg"
    table = wandering().rename(columns={"spend": "Kosten", "date": "Wann"})
    file.write_text(table.to_csv(index=False))
    status, output = invoke("check", str(file), "--map", "spend=Kosten,date=Wann", "--picture", str(picture))
    assert status == 0, output
    sums = wandering().groupby("platform")[["spend", "conversions"]].sum()
    assert output.startswith("2025-01-06 to 2025-03-06, 150 rows, 3 platforms, 2 campaign(s)")
    assert "date = 'Wann', spend = 'Kosten'" in output
    assert f"{sums.loc['social', 'spend']:,.2f}" in output
    assert "video begins on 2025-02-05." in output
    assert "1 row(s)" in output
    assert "clicks_wrong_type" in output
    assert "How social answers to money: its spend hardly moved" in output
    assert "What 3 of 6 pairs of campaign and platform bring: they were never tried" in output
    assert "What the media caused" in output
    drawn = ET.fromstring(picture.read_text())
    lines = [one for one in drawn.iter() if one.tag.endswith("polyline")]
    assert len(lines) >= 9, "three panels of three platforms"


@pytest.mark.parametrize("days", [58, 60, 87, 200])
def test_panels_of_the_picture_line_up(days: int, tmp_path: Path) -> None:
    """Also where a month begins at its right edge, whose label reaches beyond it."""
    file, drawn = tmp_path / "history.csv", tmp_path / "picture.svg"
    file.write_text(sound(days).to_csv(index=False))
    assert invoke("check", str(file), "--picture", str(drawn))[0] == 0
    ends = feet(drawn.read_text())
    assert len(ends) == 3
    assert len(set(ends)) == 1


def crowded() -> pd.DataFrame:
    """Twelve platforms, of which a split has room for nine and `other`; campaign autumn has ended."""
    history = sound(80)
    search = history[history["platform"] == "search"]
    parts = []
    for number in range(12):
        size = 12 - number if number != 3 else 0.05
        table = search.assign(platform=f"p{number:02}", campaign="spring")
        for name in ("spend", "impressions", "clicks", "conversions", "revenue"):
            table[name] = (table[name].astype(float) * size).round(2 if name in ("spend", "revenue") else 0)
        parts.append(table)
    # The platform that earned much once has stopped, and is split with the two smallest.
    parts[1] = parts[1].iloc[:40]
    autumn = parts[0].assign(campaign="autumn").iloc[:30]
    winter = pd.concat([parts[0], parts[11]]).assign(campaign="winter")
    winter["impressions"] += 3_000
    return pd.concat([*parts, autumn, winter])


def test_platforms_that_are_split_as_one_count_as_one(tmp_path: Path) -> None:
    file, drawn = tmp_path / "history.csv", tmp_path / "picture.svg"
    file.write_text(crowded().to_csv(index=False))
    status, output = invoke("check", str(file), "--picture", str(drawn))
    assert status == 0, output
    assert "other = p11, p03, p01: split as one" in output
    # Of ten that are split, winter tried p00 and other; autumn is over, and nothing of it is split.
    assert "What 8 of 20 pairs of campaign and platform bring: they were never tried" in output
    # p03's few conversions are other's, which has enough.
    assert "own conversion rate" not in output
    shown = {text.text for text in ET.fromstring(drawn.read_text()).iter() if text.tag.endswith("text")}
    assert {"other", "p02", "p10"} <= shown
    assert shown.isdisjoint({"p01", "p03", "p11"})


def test_cost_per_conversion_is_drawn_by_factors_where_it_differs_tenfold(tmp_path: Path) -> None:
    file, drawn = tmp_path / "history.csv", tmp_path / "picture.svg"
    for times, written in ((1, {"0"}), (100, {"10", "100"})):
        history = sound(60)
        history.loc[history["platform"] == "social", "spend"] *= times
        file.write_text(history.to_csv(index=False))
        assert invoke("check", str(file), "--accept", "price", "--picture", str(drawn))[0] == 0
        marks = [one for one in ET.fromstring(drawn.read_text()).iter() if one.get("text-anchor") == "end"]
        lowest = [one.text for one in marks if float(one.attrib["y"]) > 430]
        assert written <= set(lowest)
        assert ("0" in lowest) == (times == 1)


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text("date,revenue\n2025-01-06,1\n")
    status, output = invoke("check", str(file), "--picture", str(tmp_path / "p.svg"))
    assert status == 2
    assert output.startswith("error: platform, spend: ")
    assert output.count("\n") == 1
    assert not (tmp_path / "p.svg").exists()


def test_what_cannot_be_fitted_is_told_beside_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(sound(20).to_csv(index=False))
    status, output = invoke("check", str(file), "--picture", str(tmp_path / "p.svg"))
    assert status == 2
    assert "2025-01-06 to 2025-01-25, 40 rows, 2 platforms" in output
    assert "Nothing yet: date: the history has 20 cycle(s) of day" in output


def test_a_run_begins_with_the_short_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import local

    def stopped(*_: object) -> None:
        raise ConfigError("here: the run would begin; go on")

    monkeypatch.setattr(local, "run", stopped)
    file = tmp_path / "history.csv"
    file.write_text(sound(40).rename(columns={"spend": "Cost"}).to_csv(index=False))
    status, output = invoke("run", "--source", "spend", "--data", str(file), "--out", str(tmp_path / "out"))
    lines = output.splitlines()
    assert status == 2
    assert lines[0].startswith("data       2025-01-06 to 2025-02-14, 80 rows, 2 platforms")
    assert lines[1] == "  Columns of 'history' are read as: spend = 'Cost'."
    assert lines[2] == "error: here: the run would begin; go on"


def test_options_are_config_changes() -> None:
    assert settings(["spend=Kosten,date=Tag"], ["total,price"], True) == [
        'data.columns.spend="Kosten"',
        'data.columns.date="Tag"',
        'data.accept=["total", "price"]',
        "data.idle_days=true",
    ]
    zoned = load("laptop", ["data.source=spend", "data.path=x", *settings([], [], False, "Europe/Berlin")])
    assert zoned.data.timezone == "Europe/Berlin"
    config = load("laptop", ["data.source=spend", "data.path=x", *settings(["spend=Kosten"], ["total"], False)])
    assert (config.data.columns, config.data.accept) == ({"spend": "Kosten"}, ("total",))
    with pytest.raises(ConfigError, match=r"--map spend: write it as COLUMN=NAME"):
        settings(["spend"], [], False)
    with pytest.raises(ConfigError, match=r"data\.columns: source 'criteo' reads one format; drop the key"):
        load("laptop", ["data.source=criteo", "data.path=x", "data.columns.spend=Kosten"])


def test_missing_values_are_told_by_platform(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    history = sound(40)
    history.loc[history["platform"] == "social", "clicks"] = ""
    file.write_text(history.drop(index=[20, 21]).to_csv(index=False))
    found = check(load("laptop", ["data.source=spend", f"data.path={file}"]))
    (social,) = [line.split() for line in told(found, tmp_path / "p.svg").splitlines() if line.startswith("  social")]
    assert social[4] == "–"
    lines = missing(found)
    assert "1 day(s) between the first and the last have no row, as 2025-01-16." in lines
    assert "clicks: 39 of 78 rows have none (social 39)." in lines


def many(days: int = 40, **changes: object) -> pd.DataFrame:
    """Four platforms."""
    two = sound(days)
    more = two.assign(platform=two["platform"].map({"search": "video", "social": "display"}))
    more["impressions"] += 300
    return pd.concat([two, more], ignore_index=True).assign(**changes)


def lines_of(output: str, title: str) -> list[str]:
    part = output.partition(f"\n{title}\n")[2].partition("\n\n")[0]
    return [line.strip() for line in part.splitlines()]


def test_what_several_platforms_lack_is_one_line(tmp_path: Path) -> None:
    history = many()
    history["spend"] = history["platform"].map({"search": 130.0, "social": 120.0, "display": 110.0, "video": 0.0})
    history.loc[history["platform"] == "video", "spend"] = np.arange(40) + 50.0
    history.loc[history["platform"].isin(["search", "social"]), ["conversions", "revenue"]] = [2, 40.0]
    file = tmp_path / "history.csv"
    file.write_text(history.to_csv(index=False))
    status, output = invoke("check", str(file), "--picture", str(tmp_path / "p.svg"))
    assert status == 0, output
    lines = lines_of(output, "Cannot be answered")
    assert len(lines) == 3
    assert lines[0] == (
        "How search, social and display answer to money: their spend hardly moved (0% from day to day); only money "
        "that is moved on purpose tells (crossmix experiment plan)."
    )
    assert lines[1] == (
        "The own conversion rates of search (80) and social (80) to better than 10 %: they have so few conversions."
    )


def test_results_that_are_not_told_are_said(tmp_path: Path) -> None:
    history = many()
    history.loc[history["platform"].isin(["video", "display"]), ["conversions", "revenue"]] = ""
    file = tmp_path / "history.csv"
    file.write_text(history.to_csv(index=False))
    status, output = invoke("check", str(file), "--picture", str(tmp_path / "p.svg"))
    assert status == 0, output
    assert "How to split a budget among social, search by" in output
    held = lines_of(output, "Held and corrected")
    assert [line.partition(":")[0] for line in held] == ["display", "video"]
    assert "What a unit more on display and video earns: their results are blank in every row." in output


REMEDIES: dict[str, Callable[[], pd.DataFrame]] = {
    "total": lambda: pd.concat(
        [sound(40), sound(40).groupby("date", as_index=False)[FIGURES].sum().assign(platform="network")]
    ),
    "weekends": lambda: sound(40)[lambda t: pd.to_datetime(t["date"]).dt.weekday < 5],
    "revenue": lambda: sound(40).assign(revenue=lambda t: t["revenue"].where(t["platform"] == "search", 0)),
    "dates": lambda: sound(40)[lambda t: pd.to_datetime(t["date"]).dt.day < 13].assign(
        date=lambda t: pd.to_datetime(t["date"]).dt.strftime("%d/%m/%Y")
    ),
    "decimals": lambda: sound(40).assign(
        spend=lambda t: [f"{100 + at % 7}.{at % 900 + 101}" for at in range(len(t))],
        revenue=lambda t: t["revenue"].astype(int),
    ),
    "repeated": lambda: pd.concat([sound(40), sound(40).assign(spend=lambda t: t["spend"] * 3)]),
    "value": lambda: sound(40).drop(columns="revenue"),
    "quarantine": lambda: sound(40).assign(clicks=lambda t: t["clicks"].where(t.index % 5 > 0, "many")),
}
"""Histories that are refused with something to type."""


@pytest.mark.parametrize("kind", REMEDIES)
def test_what_a_refusal_says_to_type_can_be_typed(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(REMEDIES[kind]().to_csv(index=False))
    drawn = ["--picture", str(tmp_path / "p.svg")]
    status, output = invoke("check", str(file), *drawn)
    assert status == 2, output
    said = re.findall(r"--accept-quarantine|--idle-days|--accept \w+|--set data\.[\w.]+=[\w-]+", output)
    assert said, output
    for typed in said:
        _, answer = invoke("check", str(file), *typed.replace("VALUE", "40").split(), *drawn)
        # Something else may be wrong then; what was typed is no more asked for, and known.
        assert typed not in answer, answer
        assert "data.accept:" not in answer, answer
        assert "No such option" not in answer, answer


def imported(history: pd.DataFrame, tmp_path: Path, names: tuple[str, ...]) -> str:
    """Which of some modules a process that checks a history has imported, and whether it collects garbage again."""
    file = tmp_path / "history.csv"
    file.write_text(history.to_csv(index=False))
    arguments = ["check", str(file), "--picture", str(tmp_path / "p.svg"), "--accept-quarantine"]
    code = (
        "import sys, gc\nfrom pipelines.cli.main import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print(sorted(set({names!r}) & set(sys.modules)), gc.isenabled())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_a_check_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    """What it takes on a small file is mostly imports: an engine is asked where a row may break a rule."""
    heavy = ("torch", "mlflow", "matplotlib", "sklearn", "scipy", "feast", "kfp", "sqlalchemy", "asyncio", "onnx")
    engine = ("ibis", "duckdb")
    history = sound(40)
    assert imported(history, tmp_path, (*heavy, *engine)) == "[] True"
    history.loc[3, "clicks"] = 10 * float(history.loc[3, "impressions"])
    assert imported(history, tmp_path, engine) == "['duckdb', 'ibis'] True"


def test_text_becomes_numbers_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read once, and each of its columns parsed once, whatever looks at it."""
    scales = np.linspace(1, 4, 70)
    history = pd.concat([sound(80).assign(campaign=f"campaign {at}") for at in range(len(scales))])
    for name in FIGURES[:3]:
        amount = history[name].astype(float) * np.repeat(scales, 160)
        history[name] = amount.round(2 if name == "spend" else 0)
    assert len(history) > numbers.FEWEST_KEPT
    file = tmp_path / "history.csv"
    file.write_text(history.to_csv(index=False))
    reads: list[Path] = []
    parses: list[int] = []
    read, parse = text.read, numbers._parsed

    def reading(path: Path, name: str, score: Any) -> Any:
        reads.append(path)
        return read(path, name, score)

    def parsing(texts: list[str]) -> Any:
        parses.append(len(texts))
        return parse(texts)

    monkeypatch.setattr(text, "read", reading)
    monkeypatch.setattr(numbers, "_parsed", parsing)
    assert check(load("laptop", ["data.source=spend", f"data.path={file}"])).problem is None
    assert reads == [file]
    assert sum(count == len(history) for count in parses) == len(FIGURES)


def test_an_engine_parses_a_column_that_has_a_word_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text becomes numbers in one query; every other reads the numbers."""
    from ibis.backends.duckdb import Backend

    queries = []
    compile_ = Backend.compile

    def kept(self: Backend, expr: Any, /, **options: Any) -> str:
        queries.append(compile_(self, expr, **options))
        return str(queries[-1])

    made = []
    create = Backend.create_table

    def created(self: Backend, name: str, /, obj: Any = None, **options: Any) -> Any:
        made.append(compile_(self, obj))
        return create(self, name, obj, **options)

    monkeypatch.setattr(Backend, "compile", kept)
    monkeypatch.setattr(Backend, "create_table", created)
    file = tmp_path / "history.csv"
    history = sound(40)
    history.loc[4, "clicks"] = "many"
    file.write_text(history.to_csv(index=False))
    found = check(load("laptop", ["data.source=spend", f"data.path={file}"]))
    assert [code for code, *_ in found.quarantined] == ["clicks_wrong_type"]
    parsing = [query for query in (*queries, *made) if "TRY_CAST" in str(query)]
    assert len(queries) > 3
    (query,) = parsing
    assert '"clicks" AS DOUBLE' in re.sub(r"NULLIF\(TRIM\((.*?), '.*?'\), ''\)", r"\1", str(query), flags=re.DOTALL)
    assert not re.search(r'TRY_CAST\(NULLIF\(TRIM\("t0"."(spend|date)"', str(query)), "what reads as numbers is no text"


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=500).strftime("%d.%m.%Y")
    index = pd.MultiIndex.from_product(
        [days, [f"p{p}" for p in range(5)], [f"c{c}" for c in range(40)]], names=["Tag", "Plattform", "Kampagne"]
    )
    spend = rng.lognormal(5, 0.6, len(index)).round(2)
    table = pd.DataFrame(index=index).reset_index()
    table["Kosten"] = [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in spend]
    table["Impr."] = [f"{int(value * 90):,}".replace(",", ".") for value in spend]
    table["Klicks"], table["Conversions"] = (spend * 2).astype(int), (spend / 20).astype(int)
    table["Conv.-Wert"] = [f"{value * 3:.2f}".replace(".", ",") for value in spend]
    file = tmp_path / "history.csv"
    file.write_text(table.to_csv(index=False, sep=";"))
    started = time.process_time()
    found = check(load("laptop", ["data.source=spend", f"data.path={file}"]))
    # CPU seconds of a shared machine; about 2 on an idle one, and minutes where each row is looked at by itself.
    assert time.process_time() - started < 60
    assert len(found.days) == 100_000
    assert found.platforms["spend"].sum() == pytest.approx(spend.sum(), rel=1e-9)
