"""What `allocate` and `whatif` say of campaigns that a run read as one, and of those that it had better."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crossmix.config import ConfigError
from pipelines.cli import beside, recommend, whatif
from tests.support.bent_histories import planted
from tests.support.bundles import make
from tests.support.histories import ingested

PLAIN = planted(60, seed=40230)
APART = PLAIN.assign(campaign=PLAIN["platform"] + " - all")
TOGETHER = "data.campaigns=together"
BRAND = 'data.campaign_groups={"search - all": "brand"}'


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose ingest step lies at `ingest`, and no other step."""

    def folder(out: Path, name: str) -> Path:
        if name != "ingest":
            raise ConfigError(f"{out}: holds no finished {name} step")
        return out / name

    monkeypatch.setattr(beside, "step_folder", folder)
    return tmp_path


def ingest(run: Path, *settings: str) -> Path:
    shutil.move(ingested(run / "made", APART, *settings).path, run / "ingest")
    return run


def test_answers_of_campaigns_with_a_platform_each_name_the_remedy(run: Path) -> None:
    (line,) = beside.beside(ingest(run))
    assert line.startswith(
        "Each of the 4 campaigns ran on one platform alone, so that a campaign's budget can move by a probe"
    )
    assert "Say --set data.campaigns=together, which reads all campaigns as one account: it answers how to" in line
    assert line.endswith("the whole budget among display, search, social, video, moving money between campaigns.")
    beside.check_campaign(run, "search - all")
    beside.check_campaign(run, "nobody")


def test_answers_of_an_account_say_what_it_is_of(run: Path) -> None:
    lines = beside.beside(ingest(run, TOGETHER))
    assert lines == [
        "all campaigns = display - all, search - all, social - all, video - all: 4 campaigns read as one, whose mix on "
        "each platform is taken to stay as it is"
    ]
    beside.check_campaign(run, None)
    beside.check_campaign(run, "all campaigns")
    beside.check_campaign(run, "nobody")  # which is refused by the name of what there is


@pytest.mark.parametrize(("settings", "asked"), [
    ([TOGETHER], r"with 3 other\(s\), 'all campaigns' .*: leave --campaign out, or run again with campaigns apart"),
    ([TOGETHER, BRAND], r"with 2 other\(s\), 'other campaigns' .*: say --campaign 'other campaigns', or run again"),
])  # fmt: skip
def test_a_campaign_that_was_read_in_an_account_is_refused_by_its_name(
    settings: list[str], asked: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ingest(run, *settings)
    monkeypatch.setattr(whatif, "_market", lambda _: None)
    bundle = make(out / "bundle").path
    for ask in (
        lambda: whatif.ask(out, "video - all"),
        lambda: recommend.allocate(bundle, out / "features", "video - all", out=out),
    ):
        with pytest.raises(ConfigError, match=f"--campaign 'video - all': the run read it as one {asked}"):
            ask()
