"""The bundle of creators: saved, verified, refused where it is changed or of another kind, and it answers a brief."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from crossmix import bundle, config
from crossmix.bundle import BundleError, manifest
from crossmix.creators import bundled, effect, generated
from crossmix.creators.bundled import BundledPlanner
from crossmix.creators.matrix import check
from crossmix.creators.sampled import brief_of
from crossmix.creators.walk import STATE
from tests.support.bundles import make as make_split

CONFIG = config.load("laptop", ["task=creators", "data.source=demo-creators", "creators.solver.seconds=0.4"])
WORLD = generated.demo(300, seed=3)


def make(folder: Path, **changes: object) -> BundledPlanner:
    catalogue = WORLD.catalogue
    parts = {"config": CONFIG, "catalogue": catalogue, "predictor": effect.fit(catalogue)}
    return bundled.save(folder, **parts | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> BundledPlanner:
    return make(tmp_path_factory.mktemp("creators") / "bundle", lineage={"run": "r1"})


def test_a_loaded_bundle_holds_what_was_saved(saved: BundledPlanner) -> None:
    again = bundled.load(saved.path)
    assert again.manifest["kind"] == "creators"
    assert (again.digest, again.config.creators, again.config.task) == (saved.digest, CONFIG.creators, "creators")
    assert (again.manifest["lineage"], again.catalogue.generated) == ({"run": "r1"}, True)
    assert again.catalogue.ids == WORLD.catalogue.ids
    np.testing.assert_array_equal(again.catalogue.result_E, WORLD.catalogue.result_E)
    np.testing.assert_array_equal(again.mean_N, effect.fit(WORLD.catalogue).posterior(WORLD.catalogue).mean_N)


def test_saving_twice_gives_the_same_digest_and_gates_do_not_change_it(saved: BundledPlanner, tmp_path: Path) -> None:
    twice = make(tmp_path / "bundle")
    assert twice.digest == saved.digest
    manifest.annotate(twice.path, [{"name": "creators.rules", "verdict": "pass"}])
    told = bundled.load(twice.path)
    assert (told.digest, told.manifest["gates"][0]["name"]) == (saved.digest, "creators.rules")
    other = make(tmp_path / "other", catalogue=replace(WORLD.catalogue, price_N=WORLD.catalogue.price_N + 1))
    assert other.digest != saved.digest


def test_it_answers_a_brief_within_its_rules(saved: BundledPlanner) -> None:
    brief = brief_of(saved.catalogue, CONFIG.creators.briefs, 1)
    plan = saved.plan(brief)
    assert 0 < plan.effect <= plan.bound
    assert check(saved.catalogue, brief, [(one.creator_id, one.phase) for one in plan.choices]) == []


@pytest.mark.parametrize("name", ["catalogue.npz", "predictor.npz", "probe.npz", "config.json"])
def test_a_changed_or_missing_file_is_refused(saved: BundledPlanner, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(saved.path, tmp_path / "bundle"))
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content + b" ")
    with pytest.raises(BundleError, match=f"{name}: SHA-256"):
        bundled.load(folder)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing; fetch the bundle again"):
        bundled.load(folder)


def test_an_answer_that_is_not_the_saved_one_is_refused(saved: BundledPlanner, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved.path, tmp_path / "bundle"))
    content = manifest.read_manifest(folder)
    content["probe"]["log_effect"][2] += 1e-4
    manifest.seal(folder, content)
    with pytest.raises(BundleError, match=r"predictor.npz: answers the stored probe 0.0001 off \(allowed 1e-06\)"):
        bundled.load(folder)


def test_each_kind_refuses_the_others_by_name(saved: BundledPlanner, tmp_path: Path) -> None:
    split = make_split(tmp_path / "split")
    with pytest.raises(BundleError, match="kind 'creators' where one of kind 'split' is asked for"):
        bundle.load(saved.path)
    with pytest.raises(BundleError, match="kind 'split' where one of kind 'creators' is asked for"):
        bundled.load(split.path)
    content = json.loads((saved.path / "manifest.json").read_text()) | {"kind": "songs"}
    content["digest"] = manifest.identity(content)
    folder = Path(shutil.copytree(saved.path, tmp_path / "songs"))
    manifest.seal(folder, content)
    with pytest.raises(BundleError, match="kind 'songs' is unknown here; this version reads split, journey, creators"):
        bundled.load(folder)


def test_a_bundle_that_names_no_kind_is_a_split_of_the_same_digest(tmp_path: Path) -> None:
    made = make_split(tmp_path / "bundle")
    content = manifest.read_manifest(made.path)
    assert content.pop("kind") == "split"
    manifest.seal(made.path, content)
    assert bundle.load(made.path).digest == made.digest


def test_an_agent_without_its_actor_is_refused(tmp_path: Path) -> None:
    walking = replace(CONFIG, creators=replace(CONFIG.creators, agent="ddpg"))
    with pytest.raises(BundleError, match=r"creators\.agent: 'ddpg', but no actor was given"):
        make(tmp_path / "bundle", config=walking)


WALKING = replace(CONFIG, creators=replace(CONFIG.creators, agent="ddpg"))


def actor(bias: float = 0.3, *, size: int = STATE, name: str = "share") -> bytes:
    """An ONNX actor: a logistic of a plane over the state."""
    weight_S1 = np.linspace(-1, 1, size, dtype=np.float32)[:, None]
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["state", "weight", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["column"]),
            helper.make_node("Squeeze", ["column", "axis"], [name]),
        ],
        "actor",
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, ["B", size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B"])],
        [
            numpy_helper.from_array(weight_S1, "weight"),
            numpy_helper.from_array(np.array([bias], np.float32), "bias"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()
    return made


@pytest.fixture(scope="module")
def walking(tmp_path_factory: pytest.TempPathFactory) -> BundledPlanner:
    return make(tmp_path_factory.mktemp("walking") / "bundle", config=WALKING, actor=actor())


def in_place_of(walking: BundledPlanner, folder: Path, content: bytes) -> Path:
    """A copy with another actor whose manifest knows it by digest."""
    copy = Path(shutil.copytree(walking.path, folder / "bundle"))
    (copy / "actor.onnx").write_bytes(content)
    told = manifest.read_manifest(copy)
    told["files"]["actor.onnx"] = manifest.sha256(copy / "actor.onnx")
    told["digest"] = manifest.identity(told)
    manifest.seal(copy, told)
    return copy


def test_an_actor_answers_the_probe_as_it_was_saved(walking: BundledPlanner) -> None:
    again = bundled.load(walking.path)
    assert again.actor == actor()
    with np.load(walking.path / "probe.npz") as probe:
        state_BS = probe["state"].astype(np.float64)
    meant_B = 1 / (1 + np.exp(-(state_BS @ np.linspace(-1, 1, STATE) + 0.3)))
    np.testing.assert_allclose(again.manifest["probe"]["share"], meant_B, atol=1e-5)
    assert np.ptp(meant_B) > 0.05  # another actor would answer otherwise


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (actor(0.35), r"actor.onnx: answers the stored probe 0.01\d? off \(allowed 0.0001\)"),
        (b"no graph", r"actor.onnx: is no actor that onnxruntime can run \("),
        (actor(size=STATE + 1), r"actor.onnx: is no actor that onnxruntime can run \("),
        (actor(name="other"), r"actor.onnx: is no actor that onnxruntime can run \("),
        (actor(np.nan), r"actor.onnx: is no actor: of 8 states it says \(8,\), not a share each"),
    ],
)
def test_another_actor_or_a_corrupt_one_is_refused_at_load(
    walking: BundledPlanner, tmp_path: Path, content: bytes, says: str
) -> None:
    with pytest.raises(BundleError, match=says) as told:
        bundled.load(in_place_of(walking, tmp_path, content))
    assert len(str(told.value).splitlines()) == 1


def test_an_actor_is_listed_and_verified_as_the_other_files_are(walking: BundledPlanner, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(walking.path, tmp_path / "bundle"))
    (copy / "actor.onnx").write_bytes(actor(0.35))
    with pytest.raises(BundleError, match=r"actor.onnx: SHA-256"):
        bundled.load(copy)
    told = manifest.read_manifest(walking.path)
    del told["files"]["actor.onnx"]
    told["digest"] = manifest.identity(told)
    manifest.seal(copy, told)
    with pytest.raises(BundleError, match=r"actor.onnx: is missing, and creators.agent is 'ddpg'; save it again"):
        bundled.load(copy)


def test_a_bundle_of_before_whose_probe_knows_no_actor_loads_where_it_answers(
    walking: BundledPlanner, tmp_path: Path
) -> None:
    for content, good in ((actor(0.9), True), (b"no graph", False)):
        copy = in_place_of(walking, tmp_path / str(good), content)
        with np.load(copy / "probe.npz") as probe:
            row_Q = probe["row"]
        np.savez(copy / "probe.npz", row=row_Q)
        told = manifest.read_manifest(copy)
        del told["probe"]["share"], told["probe"]["share_tolerance"]
        told["files"]["probe.npz"] = manifest.sha256(copy / "probe.npz")
        told["digest"] = manifest.identity(told)
        manifest.seal(copy, told)
        if good:
            assert bundled.load(copy).actor == content
        else:
            with pytest.raises(BundleError, match=r"actor.onnx: is no actor"):
                bundled.load(copy)


def test_nothing_of_it_is_a_pickle(saved: BundledPlanner) -> None:
    for file in saved.path.glob("*.npz"):
        with np.load(file, allow_pickle=False) as archive:
            assert all(archive[name].dtype.kind in "fiUb" for name in archive.files), file.name
