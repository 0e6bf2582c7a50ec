"""A bundle carries its own layout: another one is saved, loaded and answers; one that nobody builds is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix import bundle
from crossmix.bundle.manifest import identity, seal, sha256
from crossmix.config import laptop
from crossmix.constraints import Limits
from crossmix.state import ALLOCATION, KINDS, Field, Layout

JOURNEY = Layout(
    kind="journey",
    version=1,
    context_size=6,
    slots=4,
    platform_fields=(Field("previous_share", "share", 0.0, 1.0), Field("touches", "a user", 0.0, 40.0)),
    campaign_fields=(Field("depth", "steps", 0.0, 9.0),),
)


class Actor(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Linear(JOURNEY.size, 2)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(states)
        return logits


def save(folder: Path, platforms: tuple[str, ...] = ("app", "web")) -> bundle.Bundle:
    return bundle.save(
        folder,
        Actor(),
        config=laptop(),
        platforms=platforms,
        limits={"spring": Limits.free(len(platforms))},
        plans={"spring": bundle.Plan(10.0, "EUR", (1 / len(platforms),) * len(platforms))},
        contexts={"spring": np.full(JOURNEY.context_size, 0.5)},
        responses=None,
        data_digest="d" * 64,
        layout=JOURNEY,
    )


@pytest.fixture
def journey(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of crossmix that builds journeys too."""
    monkeypatch.setitem(KINDS, "journey", (1,))


@pytest.mark.usefixtures("journey")
def test_another_layout_is_saved_loaded_and_answers(tmp_path: Path) -> None:
    saved = save(tmp_path / "bundle")
    loaded = bundle.load(saved.path)
    assert loaded.layout == JOURNEY
    assert loaded.manifest["layout_digest"] == JOURNEY.digest != ALLOCATION.digest
    statistics = JOURNEY.cold_start({"previous_share": np.array([0.3, 0.7])}, {"depth": 99.0})
    state_BS = loaded.encode("spring", statistics)
    assert state_BS.tolist()[0] == pytest.approx([0.5] * 6 + [0.3, 0, 0.7, 0, 0, 0, 0, 0, 9])
    share_BM = loaded.allocate(state_BS, np.zeros((1, 2)), np.ones((1, 2)))
    with torch.no_grad():
        want = torch.softmax(Actor().logits(torch.tensor(state_BS)), 1).numpy()
    assert share_BM == pytest.approx(want, abs=1e-6)
    with pytest.raises(ValueError, match=r"state: shape \(1, 640\); want \(batch, 15\)"):
        loaded.allocate(np.zeros((1, 640)), np.zeros((1, 2)), np.ones((1, 2)))
    with pytest.raises(ValueError, match="statistics: 128 numbers; the layout has 9"):
        loaded.encode("spring", np.zeros(128))


@pytest.mark.usefixtures("journey")
def test_more_platforms_than_slots_are_refused(tmp_path: Path) -> None:
    with pytest.raises(bundle.BundleError, match="want 1 to 4 different names"):
        save(tmp_path / "bundle", platforms=("a", "b", "c", "d", "e"))


def test_a_kind_that_nobody_builds_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "journey", (1,))
        save(tmp_path / "bundle")
    refused = (
        r"state_layout\.json: layout journey version 1: this version of crossmix builds allocation version 1; serve it "
        "with the crossmix that trained it, or train again$"
    )
    with pytest.raises(bundle.BundleError, match=refused):
        bundle.load(tmp_path / "bundle")


@pytest.mark.usefixtures("journey")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["layout"].update(slots=5), r"layout journey version 1 is \w+, the manifest's is \w+"),
        (lambda content: content.pop("layout"), "it holds no layout; save the bundle again"),
        (lambda content: content.update(layout=ALLOCATION._numbers()[:-1]), "layout of 128 numbers without a kind"),
    ],
)
def test_a_layout_that_is_not_the_manifests_is_refused(tmp_path: Path, change: object, message: str) -> None:
    folder = save(tmp_path / "bundle").path
    content = json.loads((folder / "state_layout.json").read_text())
    change(content)  # type: ignore[operator]
    (folder / "state_layout.json").write_text(json.dumps(content))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["state_layout.json"] = sha256(folder / "state_layout.json")
    manifest["digest"] = identity(manifest)
    seal(folder, manifest)
    with pytest.raises(bundle.BundleError, match=rf"state_layout\.json: {message}"):
        bundle.load(folder)
