"""`crossmix check`: a history in words and a picture, and one clear line for what cannot be used."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from crossmix.config import ConfigError, load
from crossmix.ingest.checked import check, missing
from pipelines.cli.check import settings, told
from pipelines.cli.main import app
from tests.support.histories import sound


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.output


def wandering(days: int = 60) -> pd.DataFrame:
    """A history in which social's spend never moves, video began late and has a campaign of its own."""
    history = sound(days).assign(campaign="spring")
    video = history[history["platform"] == "search"][30:].assign(platform="video", campaign="autumn")
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
    # CPU seconds of a shared machine; about 3 on an idle one.
    assert time.process_time() - started < 15
    assert len(found.days) == 100_000
    assert found.platforms["spend"].sum() == pytest.approx(spend.sum(), rel=1e-9)
