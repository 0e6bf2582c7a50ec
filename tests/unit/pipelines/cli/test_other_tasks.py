"""A run of another task: every command that is not for it says in one sentence what it is, and what answers from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.artifacts import RunRecord
from pipelines.cli.main import app
from pipelines.cli.recommend import bundle_of
from pipelines.cli.tasks import is_of

KINDS = {"split": "split", "journeys": "journey", "creators": "creators"}
ASKED = {
    "crossmix allocate": ("split", ["allocate", "{0}"]),
    "crossmix whatif": ("split", ["whatif", "{0}"]),
    "crossmix plan": ("creators", ["plan", "{0}", "--brief", "{0}/brief.yaml"]),
    "crossmix journeys simulate": ("journeys", ["journeys", "simulate", "{0}"]),
}
RIGHT = {
    "split": "use `crossmix allocate {0}` or `crossmix whatif {0}`",
    "journeys": "use `crossmix journeys simulate {0}` or `crossmix serve {0}`",
    "creators": "use `crossmix plan {0} --brief brief.yaml`",
}
BRIEF = "budget: 1000\ncurrency: EUR\nchannels: [tiktok]\nphases: [launch]\ntiers: {head: 500000, tail: 0}\n"


@pytest.mark.parametrize(
    ("command", "found"), [(command, found) for command, (own, _) in ASKED.items() for found in KINDS if found != own]
)
def test_it_is_one_sentence(tmp_path: Path, command: str, found: str) -> None:
    wanted, arguments = ASKED[command]
    RunRecord(run_id="r", config={"task": found}, steps={}).save(tmp_path)
    (tmp_path / "brief.yaml").write_text(BRIEF)
    (tmp_path / "bundle").mkdir()
    done = CliRunner().invoke(app, [one.format(tmp_path) for one in arguments])
    assert done.exit_code == 2
    assert done.output == (
        f"error: {tmp_path}: holds a run of task {found!r}, whose bundle is of kind {KINDS[found]!r}; `{command}` is "
        f"for one of task {wanted!r} and kind {KINDS[wanted]!r}; {RIGHT[found].format(tmp_path)}\n"
    )


def test_a_champion_that_a_run_of_another_task_left_there_does_not_answer(tmp_path: Path) -> None:
    """The folder had a run of the split; then one of creators whose gates did not pass."""
    champion, judged = tmp_path / "bundle", tmp_path / "steps" / "gate" / "key" / "bundle"
    for folder, kind in ((champion, None), (judged, "creators")):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({} if kind is None else {"kind": kind}))
    RunRecord(run_id="r", config={"task": "creators"}, steps={"gate": "steps/gate/key"}).save(tmp_path)
    assert bundle_of(tmp_path, "creators") == judged
    (champion / "manifest.json").write_text(json.dumps({"kind": "creators"}))
    assert bundle_of(tmp_path, "creators") == champion
    assert bundle_of(tmp_path, "split") == judged


def test_a_bundle_that_cannot_be_read_is_left_to_whoever_loads_it(tmp_path: Path) -> None:
    assert not is_of(tmp_path / "none", "split")
    (tmp_path / "manifest.json").write_text("[]")
    assert is_of(tmp_path, "split")
