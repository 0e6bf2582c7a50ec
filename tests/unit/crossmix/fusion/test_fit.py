"""The fusion step as a whole, on a small generated dataset: what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.config import Config, laptop
from crossmix.fusion import learn
from crossmix.fusion import predict as predicting
from crossmix.fusion.fit import fit
from crossmix.fusion.learn import trimmed
from crossmix.fusion.model import Fusion
from crossmix.fusion.predict import predict
from crossmix.fusion.table import read
from crossmix.schema import DataError
from tests.support import fusion_toy
from tests.support.parts import in_parts


def config(**changes: object) -> Config:
    base = laptop()
    small = replace(base.fusion, train_rows=600, batch=128, epochs=2, **changes)  # type: ignore[arg-type]
    return replace(base, fusion=small)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return fusion_toy.write(tmp_path_factory.mktemp("toy"), rows=2_500)


@pytest.fixture(scope="module")
def fitted(toy: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fusion")
    fit(config(), *toy, out)
    return out


def test_every_impression_is_predicted(toy: tuple[Path, Path], fitted: Path):
    impressions = pd.read_parquet(toy[0] / "impressions.parquet")
    predictions = pd.read_parquet(fitted / "predictions.parquet")
    assert (predictions["impression_id"] == impressions["impression_id"]).all()
    for column in ("p_click", "p_conversion"):
        assert predictions[column].between(0, 1).all()
        assert predictions[column].nunique() > 100


def test_contexts_by_campaign_and_cycle(toy: tuple[Path, Path], fitted: Path):
    contexts = pd.read_parquet(fitted / "contexts.parquet")
    impressions = pd.read_parquet(toy[0] / "impressions.parquet")
    pairs = set(zip(impressions["campaign_id"], impressions["cycle"], strict=True))
    expected = pairs | {(campaign, -1) for campaign in fusion_toy.CAMPAIGNS}
    assert set(zip(contexts["campaign_id"], contexts["cycle"], strict=True)) == expected
    assert len(contexts) == len(expected)
    assert {len(context) for context in contexts["context"]} == {512}
    # one of them by hand, impression after impression, through the door that serving uses
    module, table = Fusion.load(fitted), read(*toy, 30)
    rows = np.flatnonzero((table.campaign == 1) & (table.cycle == 3))
    creative = table.creative[rows]
    fused = module.context(
        torch.from_numpy(table.creatives.image[creative]),
        torch.from_numpy(table.creatives.text[creative]),
        torch.from_numpy(trimmed(table.events[rows])),
        torch.from_numpy(table.present(rows)),
    )
    stored = contexts[(contexts["campaign_id"] == "c1") & (contexts["cycle"] == 3)]["context"].iloc[0]
    assert np.allclose(fused.mean(dim=0), stored, atol=1e-4)
    # before the first cycle: the mean over the campaign's creatives, nobody's history
    own = np.unique(table.creative[table.campaign == 0])
    masks = torch.from_numpy(np.column_stack([table.creatives.has[own], np.zeros(len(own), dtype=bool)]))
    fused = module.context(
        *(torch.from_numpy(v[own]) for v in (table.creatives.image, table.creatives.text)), None, masks
    )
    stored = contexts[(contexts["campaign_id"] == "c0") & (contexts["cycle"] == -1)]["context"].iloc[0]
    assert np.allclose(fused.mean(dim=0), stored, atol=1e-4)


def test_grouped_prediction_is_the_plain_forward_pass(toy: tuple[Path, Path], fitted: Path):
    module, table = Fusion.load(fitted), read(*toy, 30)
    grouped = predict(module, table)
    rows = np.random.default_rng(0).choice(len(table.creative), 64, replace=False)
    with torch.inference_mode():
        click, conversion = module(
            torch.from_numpy(table.creatives.image),
            torch.from_numpy(table.creatives.text),
            torch.from_numpy(table.creative[rows].astype(np.int64)),
            torch.from_numpy(table.events[rows].astype(np.int64)),
            torch.from_numpy(table.present(rows)),
            torch.from_numpy(table.platform[rows].astype(np.int64)),
        )
    assert np.allclose(grouped.click[rows], click, atol=1e-4)
    assert np.allclose(grouped.conversion[rows], conversion, atol=1e-4)


def test_no_more_than_a_piece_goes_through_the_module(
    toy: tuple[Path, Path], fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no gradient is wanted; what comes out is that of whole batches."""
    module, table = Fusion.load(fitted), read(*toy, 30)
    rows = np.arange(len(table.creative), dtype=np.int32)
    encode, fuse = module.behaviour_tokens, module.fuse
    histories: list[int] = []
    fused: list[int] = []

    def encoded(events: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        histories.append(len(events))
        return encode(events)

    def joined(*parts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fused.append(len(parts[0]))
        return fuse(*parts)

    monkeypatch.setattr(module, "behaviour_tokens", encoded)
    monkeypatch.setattr(module, "fuse", joined)
    pieces, loss = predict(module, table), learn.validate(module, table, rows)
    # The contexts before the first cycle are of creatives, and behaviour is masked.
    assert max(histories) == max(fused) == learn.PIECE == 256
    for place in (learn, predicting):
        monkeypatch.setattr(place, "PIECE", 4_096)
    whole, other = predict(module.eval(), table), learn.validate(module, table, rows)
    assert max(fused) > 1_000
    for name in ("click", "conversion", "context"):
        assert np.allclose(getattr(pieces, name), getattr(whole, name), rtol=1e-5, atol=1e-6), name
    assert pieces.attention == pytest.approx(whole.attention, rel=1e-6)
    assert loss == pytest.approx(other, rel=1e-6)


def test_in_bfloat16_the_heads_tell_nearly_the_same(
    toy: tuple[Path, Path], fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: products in half precision, losses and sums in full."""
    module, table = Fusion.load(fitted), read(*toy, 30)
    rows = np.flatnonzero(table.train)[:256]
    present = table.present(rows)
    exact, loss = predict(module, table), learn.batch_loss(module, table, rows, present)
    for place in (learn, predicting):
        monkeypatch.setattr(place, "lower_precision", lambda device: torch.autocast(device.type, torch.bfloat16))
    rough, rough_loss = predict(module, table), learn.batch_loss(module, table, rows, present)
    assert (rough.click.dtype, rough_loss.dtype) == (np.float32, torch.float32)
    assert not np.array_equal(rough.click, exact.click), "it was in half precision"
    assert np.allclose(rough.click, exact.click, atol=0.05)
    assert np.allclose(rough.conversion, exact.conversion, atol=0.05)
    assert np.allclose(rough.context, exact.context, atol=0.05)
    assert float(rough_loss) == pytest.approx(float(loss), rel=0.02)


def test_report_tells_what_ran_and_how_well(toy: tuple[Path, Path], fitted: Path):
    report = json.loads((fitted / "report.json").read_text())
    assert report["encoders"]["image"] == "toy-image"
    assert report["encoders"]["text"] == "toy-text"
    assert report["encoders"]["behaviour"].startswith("transformer")
    assert report["modalities"] == ["image", "text", "behaviour"]
    impressions = pd.read_parquet(toy[0] / "impressions.parquet")
    judged = impressions["holdout"] & (impressions["split"] != "train")
    trainable = pd.read_parquet(fitted / "predictions.parquet")["trained"]
    fitted_rows = ~impressions["holdout"] & (impressions["split"] == "train")
    # A fifth of the fitted users is kept from the heads, whole users at a time.
    assert not (trainable & ~fitted_rows).any()
    assert trainable.sum() == pytest.approx(0.8 * fitted_rows.sum(), rel=0.1)
    assert not set(impressions["user_id"][trainable]) & set(impressions["user_id"][fitted_rows & ~trainable])
    assert report["rows"]["heldout"] == judged.sum()
    assert report["rows"]["available"] == trainable.sum()
    assert report["rows"]["trained"] == min(1_200, trainable.sum())
    for head in ("click", "conversion"):
        told = report[head]
        assert 0.5 < told["auc"] < 1
        assert told["log_loss"] > 0
        assert len(told["roc"]["fpr"]) == len(told["roc"]["tpr"]) == len(told["roc"]["threshold"]) <= 100
        assert sum(told["reliability"]["count"]) == judged.sum()
    assert sum(report["attention"].values()) == pytest.approx(1)
    assert any("Each epoch saw 600 of" in note for note in report["notes"])


def test_same_seed_same_bytes_other_seed_others(toy: tuple[Path, Path], fitted: Path, tmp_path: Path):
    fit(config(), *toy, tmp_path)
    for name in ("predictions.parquet", "contexts.parquet", "fusion.json", "report.json"):
        assert (tmp_path / name).read_bytes() == (fitted / name).read_bytes(), name
    other = tmp_path / "other"
    other.mkdir()
    fit(config(seed=1), *toy, other)
    assert (other / "predictions.parquet").read_bytes() != (fitted / "predictions.parquet").read_bytes()


def test_a_dataset_in_parts_gives_the_same_bytes(toy: tuple[Path, Path], fitted: Path, tmp_path: Path):
    """As Spark writes it, the two tables cut at rows of their own, a part empty."""
    cuts = {"impressions": [700, 700, 1_900], "sequences": [1_000]}
    (tmp_path / "out").mkdir()
    fit(config(), in_parts(toy[0], tmp_path / "dataset", cuts), toy[1], tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in fitted.iterdir()}
    for file in fitted.iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_check_takes_rows_a_few_at_a_time(toy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    table, sizes = read(*toy, 30), []
    torch.manual_seed(0)
    module, rows = learn.build(config().fusion, table), np.arange(1_500, dtype=np.int32)
    logits = Fusion.logits

    def seen(self: Fusion, creatives: object, *piece: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append([len(part) for part in piece])
        return logits(self, creatives, *piece)  # type: ignore[arg-type]

    monkeypatch.setattr(Fusion, "logits", seen)
    found = {}
    for piece in (1_500, 512):
        monkeypatch.setattr(learn, "PIECE", piece)
        found[piece] = learn.validate(module, table, rows)
    assert sizes == [[1_500] * 4, [512] * 4, [512] * 4, [476] * 4]
    assert found[512] == pytest.approx(found[1_500], rel=1e-6)


def test_a_log_without_image_and_text_trains_and_says_so(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    report = fit(config(), *fusion_toy.write(tmp_path, rows=2_500, media=False), out)
    assert report["encoders"]["image"] == report["encoders"]["text"] == "missing"
    assert report["modalities"] == ["behaviour"]
    assert any("no image and no text" in note for note in report["notes"])
    assert report["attention"] == {"image": 0.0, "text": 0.0, "behaviour": 1.0}
    assert report["click"]["auc"] > 0.55
    contexts = pd.read_parquet(out / "contexts.parquet")
    assert np.isfinite(np.stack(contexts["context"])).all()


def test_conversions_without_a_click_keep_probabilities_below_one(toy: tuple[Path, Path], tmp_path: Path):
    import shutil

    dataset, out = tmp_path / "dataset", tmp_path / "out"
    shutil.copytree(toy[0], dataset)
    out.mkdir()
    impressions = pd.read_parquet(dataset / "impressions.parquet")
    impressions["converted"] = np.random.default_rng(0).random(len(impressions)) < 0.3
    impressions.to_parquet(dataset / "impressions.parquet", index=False)
    report = fit(config(), dataset, toy[1], out)
    assert any("without a click" in note for note in report["notes"])
    assert pd.read_parquet(out / "predictions.parquet")["p_conversion"].between(0, 1).all()


def broken(toy: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    import shutil

    for source, name in zip(toy, ("dataset", "features"), strict=True):
        shutil.copytree(source, tmp_path / name)
    return tmp_path / "dataset", tmp_path / "features"


def change(path: Path, **columns: object) -> None:
    frame = pd.read_parquet(path)
    frame.assign(**columns).to_parquet(path, index=False)


def test_bad_folders_name_field_and_remedy(toy: tuple[Path, Path], tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    cases = {
        r"embeddings: .*run the features step": lambda d, f: (f / "embeddings" / "encoders.json").unlink(),
        r"embeddings\.text: vectors of \[1, 12\]": lambda d, f: change(
            f / "embeddings" / "creatives.parquet", text=[[1.0], *[[0.0] * 12] * 39]
        ),
        r"impressions\.creative_id: 'stranger'": lambda d, f: change(d / "impressions.parquet", creative_id="stranger"),
        r"impressions\.platform: 'moon'": lambda d, f: change(d / "impressions.parquet", platform="moon"),
        r"impressions\.split: no training row": lambda d, f: change(d / "impressions.parquet", holdout=True),
        r"impressions\.clicked: 0 of": lambda d, f: change(d / "impressions.parquet", clicked=False, converted=False),
        r"impressions: 0 rows": lambda d, f: (
            pd.read_parquet(d / "impressions.parquet").head(0).to_parquet(d / "impressions.parquet")
        ),
        r"impressions: .*run ingest": lambda d, f: (d / "impressions.parquet").unlink(),
        r"sequences: .*run ingest": lambda d, f: (d / "sequences.parquet").write_bytes(b"PAR1"),
        r"sequences\.events: ids 1 to 99": lambda d, f: change(d / "sequences.parquet", events=[[1, 99]] * 2_500),
        r"sequences\.impression_id: .*has no sequence": lambda d, f: (
            pd.read_parquet(d / "sequences.parquet").iloc[1:].to_parquet(d / "sequences.parquet", index=False)
        ),
    }
    for number, (message, spoil) in enumerate(cases.items()):
        dataset, features = broken(toy, tmp_path / str(number))
        spoil(dataset, features)
        with pytest.raises(DataError, match=message):
            fit(config(), dataset, features, out)
    assert not list(out.iterdir())


def test_sequences_in_another_order_or_too_long_are_aligned(toy: tuple[Path, Path], tmp_path: Path):
    dataset, features = broken(toy, tmp_path)
    plain = read(*toy, 30).events
    frame = pd.read_parquet(dataset / "sequences.parquet")
    frame.iloc[::-1].to_parquet(dataset / "sequences.parquet", index=False)
    assert np.array_equal(read(dataset, features, 30).events, plain)
    assert np.array_equal(read(dataset, features, 4).events, plain[:, -4:])


def test_no_kernel_is_kept_unless_the_environment_says_so(monkeypatch: pytest.MonkeyPatch):
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.setenv(name, "7")
    learn.keep_no_kernels()
    assert os.environ[name] == "7"
    monkeypatch.delenv(name)
    learn.keep_no_kernels()
    assert os.environ[name] == "0"


def test_epochs_are_numbered_in_four_bytes_and_drawn_as_in_eight():
    rows = np.flatnonzero(np.arange(5_000) % 3 == 0)
    settings = replace(laptop().fusion, train_rows=700, epochs=3)
    short = learn._order(rows.astype(np.int32), settings, np.random.default_rng(0))
    assert {epoch.dtype for epoch in short} == {np.dtype(np.int32)}
    long = learn._order(rows, settings, np.random.default_rng(0))
    assert all((few == many).all() for few, many in zip(short, long, strict=True))
    assert learn._distinct_rows(short, 5_000) == len(np.unique(np.concatenate(long)))
