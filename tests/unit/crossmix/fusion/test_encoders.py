"""Encoders: packaged ones, models from disk, the cache, and what is refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crossmix.config import ConfigError, laptop
from crossmix.fusion import encoders
from crossmix.fusion.encoders import IMAGE_PACKAGED, TEXT_PACKAGED, encode_creatives, image_encoder, text_encoder
from crossmix.schema import DataError


def png(seed: int, side: int = 224) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, size=(side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def creatives() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "creative_id": ["a", "b", "c", "d"],
            "image": [png(0), None, png(1), png(0)],
            "copy": ["Run further in lighter shoes", "Save on your next trip", None, "  "],
        }
    )


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random ResNet with its image processor, as `save_pretrained` leaves it."""
    import json

    import torch
    from transformers import ResNetConfig, ResNetModel

    folder = tmp_path_factory.mktemp("resnet")
    torch.manual_seed(0)
    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 20], depths=[1, 1])).save_pretrained(folder)
    processor = {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 64},
        "crop_pct": 0.875,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random BERT with a tokenizer of its own."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "run", "further", "save", "on", "trip", "shoes"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random ViT."""
    import json

    from transformers import ViTConfig, ViTModel

    folder = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        image_size=32, patch_size=8, hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_packaged_encoders_give_pinned_vectors():
    frame, told = encode_creatives(laptop().fusion, creatives())
    assert told["image"] == {"name": IMAGE_PACKAGED, "dim": 1280, "sha256": encoders.PINNED[IMAGE_PACKAGED]}
    assert told["text"] == {"name": TEXT_PACKAGED, "dim": 384, "sha256": encoders.PINNED[TEXT_PACKAGED]}
    assert frame["image"].isna().tolist() == [False, True, False, False]
    assert frame["text"].isna().tolist() == [False, False, True, True]  # white space is no copy
    assert frame["image"][0].dtype == np.float32
    assert np.array_equal(frame["image"][0], frame["image"][3])
    assert not np.allclose(frame["image"][0], frame["image"][2])


def test_packaged_text_encoder_knows_meaning():
    run = text_encoder(TEXT_PACKAGED, 128).load()
    shoes, sneakers, loan = (v / np.linalg.norm(v) for v in run(["running shoes", "sneakers for joggers", "home loan"]))
    assert shoes @ sneakers > shoes @ loan + 0.2


def test_wrong_weights_are_refused(monkeypatch: pytest.MonkeyPatch):
    for name, make in ((IMAGE_PACKAGED, image_encoder), (TEXT_PACKAGED, lambda name: text_encoder(name, 128))):
        monkeypatch.setitem(encoders.PINNED, name, "0" * 64)
        with pytest.raises(ConfigError, match=r"fusion\.(image|text)_encoder.*weights.*pinned.*constraints"):
            make(name).load()


def test_second_encode_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resnet: Path, bert: Path):
    config = replace(laptop().fusion, image_encoder=str(resnet), text_encoder=str(bert))
    first, told = encode_creatives(config, creatives(), tmp_path)
    assert len(list(tmp_path.glob("*/*.npy"))) == 4  # two distinct images, two copies

    def never(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(encoders, "_load_vision", never)
    monkeypatch.setattr(encoders, "_load_text", never)
    second, told_again = encode_creatives(config, creatives().iloc[::-1].reset_index(drop=True), tmp_path)
    assert told_again == told
    assert np.array_equal(second["image"][3], first["image"][0])
    # another number of tokens is another encoder: nothing of it is in the cache
    with pytest.raises(AssertionError, match="encoded again"):
        encode_creatives(replace(config, text_tokens=3), creatives(), tmp_path)


def test_half_written_cache_file_is_encoded_again(tmp_path: Path, bert: Path):
    config = replace(laptop().fusion, text_encoder=str(bert))
    copies = creatives().assign(image=None)
    first, _ = encode_creatives(config, copies, tmp_path)
    for file in tmp_path.glob("*/*.npy"):
        file.write_bytes(file.read_bytes()[:90])
    again, _ = encode_creatives(config, copies, tmp_path)
    assert np.allclose(again["text"][0], first["text"][0], atol=1e-6)


def test_resnet_from_disk_is_pooled_like_the_model_pools(resnet: Path):
    import torch
    from transformers import AutoModel

    encoder = image_encoder(str(resnet))
    vector = encoder.load()([png(0)])
    assert vector.shape == (1, 20)
    from transformers import AutoImageProcessor

    pixels = np.asarray(Image.open(io.BytesIO(png(0))))
    inputs = AutoImageProcessor.from_pretrained(resnet)(images=[pixels], return_tensors="pt")
    with torch.inference_mode():
        pooled = AutoModel.from_pretrained(resnet).eval()(**inputs).pooler_output.flatten(1)
    assert np.allclose(vector, pooled.numpy(), atol=1e-5)


def test_vit_from_disk_gives_its_class_token(vit: Path):
    assert image_encoder(str(vit)).load()([png(0), png(1)]).shape == (2, 24)


def test_bert_from_disk_ignores_padding_and_cuts_tokens(bert: Path):
    run = text_encoder(str(bert), 128).load()
    alone = run(["run further"])
    assert alone.shape == (1, 16)
    assert np.allclose(run(["run further", "save on trip shoes run on"])[0], alone[0], atol=1e-5)
    cut = text_encoder(str(bert), 4).load()
    assert np.allclose(cut(["run further save on"]), run(["run further"]), atol=1e-5)
    assert not np.allclose(text_encoder(str(bert), 128, "cls").load()(["run further"]), alone)


def test_weights_that_change_change_the_identity(bert: Path, tmp_path: Path):
    import shutil

    copied = tmp_path / "bert"
    shutil.copytree(bert, copied)
    assert text_encoder(str(copied), 128).identity == text_encoder(str(bert), 128).identity
    (copied / "vocab.txt").write_text("other")
    assert text_encoder(str(copied), 128).identity != text_encoder(str(bert), 128).identity


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("Got: ConnectError: no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)


@pytest.mark.usefixtures("no_hub")
def test_hub_name_that_cannot_be_fetched_names_field_value_and_remedy():
    with pytest.raises(ConfigError, match=r"fusion\.image_encoder: 'microsoft/resnet-50'.*packaged:efficientnet-lite0"):
        image_encoder("microsoft/resnet-50")
    with pytest.raises(ConfigError, match=r"fusion\.text_encoder: 'bert-base-uncased'.*packaged:all-minilm-l6-v2"):
        text_encoder("bert-base-uncased", 128)


def test_hub_snapshot_is_loaded_like_a_folder(monkeypatch: pytest.MonkeyPatch, bert: Path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(bert))
    assert text_encoder("somebody/bert", 128).load()(["run"]).shape == (1, 16)


@pytest.mark.parametrize("name", ["packaged:resnet", "/no/such/folder", "./nowhere", "a/b/c"])
def test_names_that_lead_nowhere(name: str):
    with pytest.raises(ConfigError, match=r"fusion\.image_encoder"):
        image_encoder(name)
    with pytest.raises(ConfigError, match=r"fusion\.text_encoder"):
        text_encoder(name, 128)


def test_folders_that_hold_half_a_model(tmp_path: Path, resnet: Path):
    with pytest.raises(ConfigError, match=r"no preprocessor_config\.json"):
        image_encoder(str(tmp_path))
    with pytest.raises(ConfigError, match=r"holds no .* weights"):
        text_encoder(str(tmp_path), 128)
    (tmp_path / "model.safetensors").write_bytes((resnet / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"fusion\.text_encoder.*cannot be loaded"):
        text_encoder(str(tmp_path), 128).load()


def test_missing_weights_are_not_made_up(tmp_path: Path, resnet: Path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = tmp_path / "resnet"
    shutil.copytree(resnet, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(key for key in weights if "embedder" in key and "weight" in key))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="lacks weights"):
        image_encoder(str(folder)).load()


def test_an_image_that_is_none_names_its_creative():
    bad = creatives()
    bad.at[2, "image"] = b"not a picture"
    with pytest.raises(DataError, match=r"creatives\.image: creative 'c'"):
        encode_creatives(laptop().fusion, bad)


def test_no_creatives_need_no_encoder():
    empty = pd.DataFrame({"creative_id": [], "image": [], "copy": []})
    frame, told = encode_creatives(replace(laptop().fusion, image_encoder="nowhere/at-all"), empty)
    assert told == {"image": None, "text": None}
    assert list(frame.columns) == ["creative_id", "image", "text"]
