"""What a server may be told where it starts from the registry alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmix.config import ConfigError, load, to_json
from pipelines.cli import serve_registry
from pipelines.cli.serve_registry import _config, settings_in, start_of, state_of
from serving.app import Settings
from serving.kinds.alone import Alone


def written(folder: Path, content: str) -> Path:
    file = folder / "config.json"
    file.write_text(content)
    return file


def test_settings_are_dotted_keys_of_what_a_server_takes(tmp_path: Path) -> None:
    tree = {
        "serving": {"weight": 0.5, "canary": {"steps": [0.2, 1]}},
        "registry": {"model": "m"},
        "online": {"sigma": 0.02},
    }
    assert settings_in(written(tmp_path, json.dumps(tree))) == {
        "serving.weight": 0.5,
        "serving.canary.steps": [0.2, 1],
        "registry.model": "m",
        "online.sigma": 0.02,
    }
    assert settings_in(written(tmp_path, '{"serving": {}}')) == {}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[", r"not JSON \("),
        ("[]", "list; write it as"),
        ('{"train": {"seed": 3}}', r"'train\.seed=': a server takes serving\.\*, registry\.\* and online\.sigma"),
        ('{"online": {"clip": 1}}', r"'online\.clip=': a server takes"),
    ],
)
def test_settings_that_are_none_are_refused(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^--settings {tmp_path}/config\.json:? {told}"):
        settings_in(written(tmp_path, content))
    with pytest.raises(ConfigError, match=r"gone\.json: cannot be read \(No such file"):
        settings_in(tmp_path / "gone.json")


def test_the_config_is_the_bundles_with_what_a_server_may_change(tmp_path: Path) -> None:
    carried = load("paper", ["data.source=criteo", "data.path=log", "window=7", "online.sigma=0.5", "train.cycles=9"])
    first = load("laptop", ["registry.tracking_uri=http://mlflow", "registry.model=m"])
    made = _config(carried, first, {"serving.weight": 0.6, "serving.days": 9}, ["serving.days=8", "online.sigma=0.25"])
    assert (made.window, made.train.cycles, made.preset, made.data.source) == (7, 9, "paper", "criteo")
    assert (made.serving.weight, made.serving.days, made.online.sigma) == (0.6, 8, 0.25)
    assert (made.data.path, made.registry) == (None, first.registry)
    assert "log" not in json.loads(to_json(made))["data"].values()


def test_a_run_or_a_registry_is_named_and_each_server_has_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = Settings(role="policy", port=8090)
    for out, registry in ((None, None), (tmp_path, "http://mlflow")):
        with pytest.raises(ConfigError, match=r"OUT, --registry \(CROSSMIX_REGISTRY\): name the folder of a run or a"):
            start_of(out, registry, settings, None, None, ())
    with pytest.raises(ConfigError, match="--settings: it is for --registry"):
        start_of(tmp_path, None, settings, None, tmp_path / "config.json", ())
    assert state_of(settings).name == "crossmix-policy-8090"


@pytest.mark.parametrize("kind", ["journey", "creators"])
def test_a_role_of_one_kind_serves_that_alone_and_asks_for_nothing_else(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the registry nor a database is asked before it serves: it waits for its champion."""
    monkeypatch.delenv("CROSSMIX_DATABASE", raising=False)
    monkeypatch.delenv("CROSSMIX_REDIS", raising=False)
    monkeypatch.setattr(serve_registry, "prepare", lambda: None)  # imports, that nothing here needs
    started = start_of(None, "http://127.0.0.1:9", Settings(role=kind), tmp_path, None, ())
    assert isinstance(started, Alone)
    assert list(started.kinds) == [kind]
    assert (started.ready, started.kinds[kind].state) == (False, "asking")
    assert str(started.absent()) == f"model {kind}: the registry was not asked yet; ask again"
