"""States are of the serving bundle's layout: others are refused, kept ones are not taken, a cold start follows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossmix.state import ALLOCATION, Layout
from feature_repo import features
from serving.live.states import States, cold

SMALL = replace(
    ALLOCATION,
    slots=3,
    platform_fields=tuple(field for field in ALLOCATION.platform_fields if field.name in ("previous_share", "max")),
    campaign_fields=tuple(field for field in ALLOCATION.campaign_fields if field.name in ("pace", "weekday_cos")),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A feature folder of the budget split that knows campaign spring, of the log."""
    row = {"platforms": ["a"], "campaigns": ["spring"], "encoders": {}, "layout": ALLOCATION.digest, "rows": {}}
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "features.json").write_text(json.dumps(row))

    def known(path: Path, campaigns: list[str], arm: str) -> tuple[np.ndarray, list[float]]:
        values = np.full((len(campaigns), ALLOCATION.statistics_size), 0.25, np.float32)
        return values, [1_000.0 if arm == features.LOG_ARM else 0.0] * len(campaigns)

    monkeypatch.setattr(features, "online_known", known)
    return tmp_path


def _states(folder: Path, layout: Layout) -> States:
    return States(folder / "features", folder / "states.npz", layout)


def test_statistics_of_another_layout_are_refused(folder: Path) -> None:
    states = _states(folder, SMALL)
    states.refresh(["spring"], ["policy"])
    assert states.trouble == (
        f"feature store: features: {folder / 'features'} holds statistics of another layout than the bundle's "
        "allocation version 1; serve with the features of the run that trained it"
    )
    assert states.get("spring", "policy") is None


def test_kept_states_are_taken_by_a_server_of_their_layout_alone(folder: Path) -> None:
    states = _states(folder, ALLOCATION)
    states.refresh(["spring"], ["policy"])
    assert states.trouble is None
    again = _states(folder, ALLOCATION).get("spring", "policy")
    assert again is not None
    assert (again.source, again.seconds, again.statistics_S.tolist()) == ("log", 1_000.0, [0.25] * 128)
    assert _states(folder, SMALL).get("spring", "policy") is None


def test_a_cold_start_follows_the_layout() -> None:
    state = cold(SMALL, np.array([0.4, 0.6]), np.array([0.1, 0.0]), np.array([0.9, 0.8]), 0)
    assert state.statistics_S == pytest.approx([0.4, 0.9, 0.6, 0.8, 0, 0, 1, 1])
    assert (state.source, state.seconds) == ("cold", 0.0)
