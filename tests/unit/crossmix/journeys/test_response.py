"""The response model: what it says of whom, that a kill undoes nothing, and that a bundle says the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from crossmix.bundle import BundleError
from crossmix.config import load
from crossmix.journeys import bundled, learn, stored
from crossmix.journeys.allocate import AllocationError, choose
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.log import JourneyError
from crossmix.journeys.measured import of_users, served_at
from crossmix.journeys.net import HEADS, Net
from crossmix.journeys.response import fit
from crossmix.journeys.windows import TEST
from pipelines.console import PROGRESS
from tests.support.journeys_run import SETTINGS, learned, mtorl, of_encoder

PRICES = Prices(currency="credits", cost_C=(2.0,) * 10, worth_click=1.0, worth_conversion_C=(5.0,) * 10, shadow=0.1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bundled.JourneyBundle:
    config = load("laptop", ["task=journeys", "journeys.encoder=gru", "journeys.learning.width=16"])
    folder = tmp_path_factory.mktemp("journey") / "bundle"
    return bundled.save(folder, learned().response, config=config, prices={"c": PRICES}, data_digest="d")


def test_it_tells_users_and_channels_apart() -> None:
    """Against the truth that the world holds: users' means, and channels' means."""
    one = learned()
    test = one.ready.is_of(TEST) & np.isin(np.arange(len(one.log.users)), one.log.user_R)
    said, true = logit(one.response.answer(one.log).click_UC[test]), logit(one.world.click_UC[test])
    assert np.corrcoef(said.mean(1), true.mean(1))[0, 1] > 0.55
    assert np.corrcoef(said.mean(0), true.mean(0))[0, 1] > 0.8


def test_an_empty_journey_gets_the_prior_and_everybody_an_interval() -> None:
    one = learned()
    empty = replace(one.log.rows(np.array([], dtype=np.int64)), users=("nobody",))
    answer = one.response.answer(empty)
    rate = one.log.clicked_R.mean()
    assert answer.click_UC.shape == (1, 10)
    assert 0.5 * rate < answer.click_UC.mean() < 1.5 * rate
    for said in (answer, one.response.answer(one.log)):
        for low, middle, high in (
            ("click_low", "click", "click_high"),
            ("conversion_low", "conversion", "conversion_high"),
        ):
            edges = [getattr(said, f"{name}_UC") for name in (low, middle, high)]
            assert (edges[0] >= 0).all()
            assert (edges[0] < edges[1]).all()
            assert (edges[1] < edges[2]).all()
            assert (edges[2] <= 1).all()
    assert (answer.conversion_UC < answer.click_UC).all()


def test_without_anything_to_learn_it_says_so() -> None:
    ready = learned().ready
    table = replace(ready.table, next_gain_RG=ready.table.next_gain_RG * 0)
    with pytest.raises(JourneyError, match="clicked"):
        fit(table, ready.scaler, ready.learn, ready.validate, SETTINGS, part_U=ready.part_U)
    none = np.array([], dtype=np.int64)
    with pytest.raises(JourneyError, match="two exposures"):
        fit(ready.table, ready.scaler, ready.learn, ready.validate.where(none), SETTINGS, part_U=ready.part_U)
    user_N = ready.events.user_R[ready.learn.row_NT[:, 0]]
    clicked_N = (ready.table.next_gain_RG[ready.learn.row_NT, 0].numpy() * ready.learn.scored_NT).any(1)
    one = ready.learn.where(user_N == user_N[clicked_N][0])
    with pytest.raises(JourneyError, match="user_id: 1 training users"):
        fit(ready.table, ready.scaler, one, ready.validate, SETTINGS, part_U=ready.part_U)


def test_a_training_that_was_killed_ends_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = learned().ready
    part = ready.learn.where(np.arange(300))
    settings = replace(SETTINGS.learning, epochs=3)

    def build() -> Net:
        return Net(ready.table.layout, SETTINGS, (-2.0, -1.0))

    whole, curve = learn.train(build, ready.table, part, ready.validate, settings)
    told: list[int] = []

    def killed(epoch: int, learned_loss: float, validated: float) -> None:
        told.append(epoch)
        if epoch == 2 and len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn.train(build, ready.table, part, ready.validate, settings, work=tmp_path, tell=killed)
    again, other = learn.train(build, ready.table, part, ready.validate, settings, work=tmp_path, tell=killed)
    assert told == [0, 1, 2, 2]
    assert other.validation == pytest.approx(curve.validation, rel=1e-6)
    for name, weight in whole.state_dict().items():
        np.testing.assert_allclose(again.state_dict()[name].numpy(), weight.numpy(), atol=1e-6, err_msg=name)


def test_a_training_with_a_label_counts_its_updates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those before a kill; the runner's console looks for such lines."""
    ready = learned().ready
    part = ready.learn.where(np.arange(300))
    settings = replace(SETTINGS.learning, epochs=2, patience=2)
    updates = 2 * -(-len(part) // settings.batch)

    def build() -> Net:
        return Net(ready.table.layout, SETTINGS, (-2.0, -1.0))

    def trained(label: str) -> str:
        learn.train(build, ready.table, part, ready.validate, settings, work=tmp_path, label=label)
        return capsys.readouterr().err

    for _ in range(2):  # the second finds all epochs done
        line = trained("a model")
        assert "a model: 100%" in line
        assert f"{updates}/{updates}" in line
        assert PROGRESS.search(line)
    assert trained("") == ""


@pytest.mark.parametrize("encoder", ["gru", "mtorl"])
def test_what_is_stored_is_what_was_fitted(encoder: str, tmp_path: Path) -> None:
    one = learned(encoder)
    stored.save(one.response, mtorl(), tmp_path)
    back, policy = stored.load(tmp_path, of_encoder(encoder))
    some = of_users(one.log, np.arange(50))
    for name in Answer.__slots__:
        np.testing.assert_array_equal(getattr(back.answer(some), name), getattr(one.response.answer(some), name))
    assert len(policy.state_dict()) == len(mtorl().state_dict())
    with pytest.raises(JourneyError, match="train anew"):
        stored.load(tmp_path, replace(of_encoder(encoder), learning=replace(SETTINGS.learning, width=8)))


@pytest.mark.parametrize("version", [None, 1, 3])
def test_what_another_version_trained_is_refused_in_a_sentence(version: int | None, tmp_path: Path) -> None:
    """The first version wrote no number."""
    stored.save(learned().response, mtorl(), tmp_path)
    told = json.loads((tmp_path / stored.HEADER).read_text())
    assert told.pop("version") == stored.VERSION
    (tmp_path / stored.HEADER).write_text(json.dumps(told if version is None else {**told, "version": version}))
    with pytest.raises(JourneyError) as refused:
        stored.load(tmp_path, SETTINGS)
    assert str(refused.value) == (
        f"{tmp_path / stored.HEADER}: was trained by another version of crossmix; `crossmix run --out OUT` trains anew"
    )


def test_a_bundle_answers_as_the_model_does(bundle: bundled.JourneyBundle) -> None:
    one = learned()
    said, meant = bundle.answer(one.log), one.response.answer(one.log)
    for name in Answer.__slots__:
        np.testing.assert_allclose(getattr(said, name), getattr(meant, name), atol=1e-5, err_msg=name)
    at = served_at(bundle, one.log, np.flatnonzero(np.append(~one.log.has_next_R[:-1], True)))
    np.testing.assert_allclose(at.click_UC, said.click_UC[np.unique(one.log.user_R)], atol=1e-6)
    assert bundle.manifest["kind"] == "journey"
    assert len(HEADS) == 2


def test_a_bundle_that_changed_is_refused(bundle: bundled.JourneyBundle, tmp_path: Path) -> None:
    import shutil

    for name, damage in (
        ("prices.json", lambda file: file.write_text("{}")),
        ("response.onnx", lambda file: file.write_bytes(b"no graph")),
        ("manifest.json", lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | {"kind": "split"}))),
    ):
        folder = tmp_path / name
        shutil.copytree(bundle.path, folder)
        damage(folder / name)  # type: ignore[no-untyped-call]
        with pytest.raises(BundleError, match=name.split(".")[0]):
            bundled.load(folder)


def test_prices_take_a_question_s_costs_and_refuse_what_is_none(bundle: bundled.JourneyBundle) -> None:
    name = bundle.channels[3]
    dear = PRICES.costing({name: 1_000.0}, bundle.channels)
    assert dear.cost_C[3] == 1_000.0
    answer = bundle.answer(of_users(learned().log, np.arange(30)))
    assert not (choose(dear.value(answer), np.asarray(dear.cost_C), dear.shadow).channel_B == 3).any()
    with pytest.raises(AllocationError, match=r"costs\.fax"):
        PRICES.costing({"fax": 1.0}, bundle.channels)
    for wrong in (float("nan"), -1.0, True):
        with pytest.raises(AllocationError, match=f"costs.{name}"):
            PRICES.costing({name: wrong}, bundle.channels)


def test_users_with_a_single_exposure_tell_the_rates_of_first_exposures() -> None:
    """Users of one exposure have no window; 400 of them that all clicked double the prior."""
    one = learned()
    ready, log = one.ready, one.log
    alone = np.array([], dtype=np.int64) if not len(log) else np.flatnonzero(np.bincount(log.user_R) == 1)
    single = np.isin(log.user_R, alone) & (ready.part_U != TEST)[log.user_R]
    assert single.sum() > 5
    clicked = replace(log, clicked_R=log.clicked_R | single)
    few = replace(SETTINGS, learning=replace(SETTINGS.learning, epochs=1))
    rates = []
    for events in (replace(log, clicked_R=log.clicked_R & ~single), clicked):
        table = replace(ready.table, events=events)
        fitted, _ = fit(table, ready.scaler, ready.learn, ready.validate, few, part_U=ready.part_U)
        empty = replace(log.rows(np.array([], dtype=np.int64)), users=("nobody",))
        rates.append(float(fitted.answer(empty).click_UC.mean()))
    assert rates[1] > rates[0] + 0.5 * single.sum() / len(ready.part_U)
