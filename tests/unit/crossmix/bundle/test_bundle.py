"""The bundle: exported and eager answers agree, a changed bundle is refused, and serving needs no torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix import bundle, constraints
from crossmix.bundle.manifest import seal
from crossmix.config import laptop, paper
from crossmix.constraints import InfeasibleError
from crossmix.schema import Held
from crossmix.state import ALLOCATION, KINDS
from tests.support.bundles import CAMPAIGNS, PLATFORMS, Actor, make
from tests.support.markets import make_market
from tests.support.planned_bundles import planned, publish, states


def boxes(rows: int, platforms: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Feasible boxes around points of the simplex, from width 0 to free."""
    centre = rng.dirichlet(np.ones(platforms), rows)
    radius = rng.choice([0, 1e-6, 1e-4, 0.02, 0.3, 1], size=(rows, 1)) * rng.random((rows, platforms))
    return np.clip(centre - radius, 0, 1).astype(np.float32), np.clip(centre + radius, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return make(tmp_path_factory.mktemp("saved") / "bundle")


def test_noise_is_added_to_the_logits_and_absent_noise_is_none(saved: bundle.Bundle) -> None:
    rng = np.random.default_rng(1)
    states = rng.standard_normal((50, ALLOCATION.size)).astype(np.float32)
    noise = rng.standard_normal((50, len(PLATFORMS))).astype(np.float32)
    low, high = boxes(50, len(PLATFORMS), rng)
    actor = Actor(len(PLATFORMS))
    with torch.no_grad():
        logits = actor.logits(torch.tensor(states))
        moved = torch.softmax(logits + torch.tensor(noise), 1)
        want = constraints.project(moved, torch.tensor(low), torch.tensor(high)).numpy()
    share, told = saved.decide(states, low, high, noise)
    assert np.abs(told - logits.numpy()).max() <= 1e-5
    assert np.abs(share - want).max() <= 1e-5
    np.testing.assert_array_equal(saved.decide(states, low, high)[0], saved.decide(states, low, high, 0 * noise)[0])
    with pytest.raises(ValueError, match="noise: holds a number that is not finite"):
        saved.decide(states, low, high, np.nan * noise)


def test_project_is_the_projection_of_the_limits(saved: bundle.Bundle) -> None:
    rng = np.random.default_rng(2)
    target = rng.dirichlet(np.ones(len(PLATFORMS)), 200).astype(np.float32)
    target[:3] = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1]]
    low, high = boxes(200, len(PLATFORMS), rng)
    want = constraints.project(*map(torch.tensor, (target, low, high))).numpy()
    assert np.abs(saved.project(target, low, high) - want).max() <= 2e-6


@pytest.fixture
def copy(saved: bundle.Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved.path, tmp_path / "bundle"))


def test_the_export_answers_as_the_policy_does_on_ten_thousand_inputs(saved: bundle.Bundle) -> None:
    rng = np.random.default_rng(0)
    states = (rng.standard_normal((10_000, ALLOCATION.size)) * rng.choice([0.1, 1, 10], size=(10_000, 1))).astype(
        np.float32
    )
    low, high = boxes(10_000, len(PLATFORMS), rng)
    with torch.no_grad():
        eager = Actor(len(PLATFORMS))(*map(torch.tensor, (states, low, high))).numpy()
    share = saved.allocate(states, low, high)
    assert np.abs(share - eager).max() <= 1e-5
    assert np.abs(share.sum(1) - 1).max() <= 1e-5
    assert (share >= low - 1e-6).all()
    assert (share <= high + 1e-6).all()


def test_one_answer_takes_milliseconds(saved: bundle.Bundle) -> None:
    states, (low, high) = (
        np.zeros((1, ALLOCATION.size), np.float32),
        boxes(1, len(PLATFORMS), np.random.default_rng(1)),
    )
    seconds = []
    for _ in range(300):
        start = time.perf_counter()
        saved.allocate(states, low, high)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds) < 0.05  # 5 ms are wanted: ten times, for a busy machine


def test_saving_twice_gives_the_same_bytes_and_gates_do_not_change_the_digest(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b")
    assert first.digest == second.digest
    for name in (*bundle.FILES, "manifest.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
    assert make(tmp_path / "c", seed=1).digest != first.digest
    judged = bundle.annotate(first.path, [{"name": "policy.latency", "value": 0.1}], {"run": "r"})
    assert judged.digest == second.digest
    assert judged.manifest["gates"] == [{"name": "policy.latency", "value": 0.1}]
    assert judged.held == ()
    tv = Held(platform="tv", missing="impressions", spend=5_000.0, share=0.3, today=50.0)
    assert judged.untried == {}
    again = bundle.annotate(first.path, [], None, [asdict(tv)], {"c0": ["search"]})
    assert (again.held, again.untried, again.digest) == ((tv,), {"c0": frozenset({"search"})}, second.digest)
    assert str(tmp_path).encode() not in b"".join(file.read_bytes() for file in first.path.iterdir())


def test_what_the_plan_believes_comes_out_with_the_split(tmp_path: Path) -> None:
    """As the plan says it, row by row; and saved twice the bytes are the same."""
    market = make_market(seed=3, campaigns=3, platforms=6)
    first = publish(tmp_path / "a", market=market, moved=0.2)
    assert first.tells_belief
    state_BS = states(market, 9)
    low, high = np.zeros((1, 6)), np.ones((1, 6))
    policy = planned(market, laptop(), moved=0.2)
    assert policy.planner is not None
    plan = policy.planner.plan(state_BS)
    for rows in (slice(0, 9), slice(4, 5)):
        decision = first.decision(state_BS[rows].numpy(), low, high)
        assert decision.beliefs is not None
        for belief, base, believed, campaign in zip(
            decision.beliefs, plan.share[rows], plan.belief[rows], plan.campaign[rows].tolist(), strict=True
        ):
            assert belief.base_P == pytest.approx(base.numpy(), abs=1e-5)
            assert belief.value_QP == pytest.approx(believed.numpy(), rel=1e-4)
            assert belief.usual == market.campaigns[campaign]
        share, logits = first.decide(state_BS[rows].numpy(), low, high)
        assert share.tobytes() == decision.share_BM.tobytes()
        assert logits.tobytes() == decision.logits_BM.tobytes()
    second = publish(tmp_path / "b", market=market, moved=0.2)
    for name in (*bundle.FILES, "manifest.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name


def test_a_policy_without_a_plan_believes_nothing(saved: bundle.Bundle) -> None:
    assert not saved.tells_belief
    assert saved.decision(np.zeros((1, ALLOCATION.size)), np.zeros((1, 4)), np.ones((1, 4))).beliefs is None


def test_a_loaded_bundle_holds_what_was_saved(saved: bundle.Bundle) -> None:
    again = bundle.load(saved.path)
    assert again.platforms == PLATFORMS
    assert set(again.campaigns) == set(CAMPAIGNS)
    assert again.contexts["b / ü"] == pytest.approx(0.1)
    assert again.plans["b / ü"].currency == "EUR"
    assert again.limits["b / ü"].step_P == pytest.approx(0.1)
    assert again.config == replace(laptop(), journeys=paper().journeys, creators=paper().creators)


def test_a_file_beside_its_own_is_digested_and_sealed(tmp_path: Path) -> None:
    """And a bundle without it is one that has none."""
    plain = make(tmp_path / "plain")
    assert plain.extra("usual.npz") is None
    made = publish(tmp_path / "made")
    file = made.extra("usual.npz")
    assert file == tmp_path / "made" / "usual.npz"
    assert made.extra("policy.onnx") is None
    assert set(made.manifest["files"]) == {*bundle.FILES, "usual.npz"}
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(bundle.BundleError, match=r"usual\.npz: SHA-256 .* fetch the bundle again"):
        bundle.load(made.path)
    file.unlink()
    with pytest.raises(bundle.BundleError, match=r"usual\.npz: missing; fetch"):
        bundle.load(made.path)


def test_a_file_of_another_name_is_no_part_of_a_bundle(saved: bundle.Bundle, tmp_path: Path) -> None:
    with pytest.raises(
        bundle.BundleError, match=r"other\.npz: no file of a bundle; those beside its own are usual\.npz"
    ):
        bundle.save(
            tmp_path / "other",
            Actor(4),
            config=laptop(),
            platforms=saved.platforms,
            limits=saved.limits,
            plans=saved.plans,
            contexts=saved.contexts,
            responses=None,
            data_digest="d" * 64,
            extras={"other.npz": b""},
        )


def test_serving_leaves_torch_out(saved: bundle.Bundle) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from crossmix import bundle, allocate\n"
        "b = bundle.load(Path(sys.argv[1])); m = len(b.platforms)\n"
        "share = b.allocate(np.zeros((2, 640)), np.zeros((1, m)), np.ones((1, m)))\n"
        "print(share.sum(1), sorted(set(sys.modules) & {'torch', 'mlflow', 'pandas', 'matplotlib'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(saved.path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith("[]"), ran.stdout


@pytest.mark.parametrize("name", [*bundle.FILES, "manifest.json"])
def test_a_changed_or_missing_file_is_refused_by_name(copy: Path, name: str) -> None:
    file = copy / name
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    file.write_bytes(content)
    with pytest.raises(bundle.BundleError, match=rf"{name.split('.')[0]}.*(fetch|save|format)"):
        bundle.load(copy)
    file.unlink()
    with pytest.raises(bundle.BundleError, match=rf"{name}: missing; fetch"):
        bundle.load(copy)


def test_another_layout_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "allocation", (2,))
    refused = r"state_layout\.json: layout allocation version 1: .* builds allocation version 2; .* train again"
    with pytest.raises(bundle.BundleError, match=refused):
        bundle.load(copy)


def test_a_policy_that_no_longer_answers_the_probe_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["probe"]["share"][0] = [0.25, 0.25, 0.25, 0.25]
    seal(copy, manifest)
    with pytest.raises(bundle.BundleError, match=r"policy\.onnx: answers the stored probe .* off"):
        bundle.load(copy)


def test_a_digest_that_is_not_of_what_is_served_is_refused_though_sealed(copy: Path) -> None:
    whole = json.loads((copy / "manifest.json").read_text())
    for name, wrong in (("digest", "0" * 64), ("config_digest", "0" * 64), ("data_digest", "0" * 64)):
        seal(copy, whole | {name: wrong})
        with pytest.raises(bundle.BundleError, match=r"manifest\.json: changed since it was saved"):
            bundle.load(copy)
    seal(copy, whole | {"gates": [{"name": "policy.limits"}]})
    assert bundle.load(copy).digest == whole["digest"]


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(bundle.BundleError, match=r"platforms\.json.*different names"):
        make(tmp_path / "twice", platforms=("a", "a"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("keep me")
    with pytest.raises(bundle.BundleError, match="holds other files"):
        make(tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_inputs_that_cannot_be_are_refused(saved: bundle.Bundle) -> None:
    good, zero, one = np.zeros((1, ALLOCATION.size)), np.zeros((1, 4)), np.ones((1, 4))
    with pytest.raises(ValueError, match="want \\(batch, 640\\)"):
        saved.allocate(good[:, :-1], zero, one)
    with pytest.raises(ValueError, match="not finite"):
        saved.allocate(good * np.nan, zero, one)
    with pytest.raises(ValueError, match="one bound per platform"):
        saved.allocate(good, zero[:, :3], one)
    with pytest.raises(InfeasibleError, match=r"maxes sum to 0\.8"):
        saved.allocate(good, zero, 0.2 * one)
