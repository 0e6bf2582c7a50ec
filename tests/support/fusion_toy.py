"""A small dataset and features folder whose clicks depend on image, copy and history: what fusion tests run on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from crossmix.schema import Meta, behaviour_id

PLATFORMS = ("search", "video", "social", "news")
CAMPAIGNS = ("c0", "c1")
ENCODERS = {
    "image": {"name": "toy-image", "dim": 24, "sha256": "0" * 64},
    "text": {"name": "toy-text", "dim": 12, "sha256": "1" * 64},
}


def write(
    folder: Path, rows: int = 6_000, seed: int = 0, creatives: int = 40, media: bool = True, shuffled: bool = False
) -> tuple[Path, Path]:
    """Write folder/dataset and folder/features; returns both. Long because it writes six tables of one world.

    A click's logit is -1.5 + image + text + history + platform, each of size about 1;
    a click converts with a logit that leans on the image. `media=False`: no creatives; `shuffled`: labels permuted.
    """
    rng = np.random.default_rng(seed)
    dataset, features = folder / "dataset", folder / "features"
    (features / "embeddings").mkdir(parents=True)
    dataset.mkdir()
    image = rng.normal(size=(creatives, 24)).astype(np.float32)
    text = rng.normal(size=(creatives, 12)).astype(np.float32)
    has_image, has_text = rng.random(creatives) < 0.9, rng.random(creatives) < 0.9
    users = rng.integers(rows // 5, size=rows)
    creative = rng.integers(creatives, size=rows)
    platform = rng.integers(len(PLATFORMS), size=rows)
    warm = rng.random(rows) < 0.8
    clickers = rng.random(rows) < 0.5
    length = np.where(warm, rng.integers(1, 31, size=rows), 0)
    events = [
        [behaviour_id(int(slot), int(kind)) for slot, kind in zip(slots, kinds, strict=True)]
        for slots, kinds in (
            (rng.integers(len(PLATFORMS), size=n), rng.random(n) < (0.6 if likes else 0.1))
            for n, likes in zip(length, clickers, strict=True)
        )
    ]
    history = np.where(warm, np.where(clickers, 1.0, -1.0), 0.0)
    picture = np.where(has_image, image[:, 0] * 1.2, 0.0)[creative] * media
    copy = np.where(has_text, text[:, 0], 0.0)[creative] * media
    logit = -1.5 + picture + copy + 1.2 * history + np.array([0.5, 0.0, -0.3, -0.8])[platform]
    clicked = rng.random(rows) < 1 / (1 + np.exp(-logit))
    converted = clicked & (rng.random(rows) < 1 / (1 + np.exp(1.0 - picture)))
    if shuffled:
        order = rng.permutation(rows)
        clicked, converted = clicked[order], converted[order]
    cycle = np.arange(rows) * 10 // rows
    names = np.array([f"cr{index}" for index in range(creatives)], dtype=object)
    impressions = pd.DataFrame(
        {
            "impression_id": [f"i{index:06d}" for index in range(rows)],
            "timestamp": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(rows), unit="s"),
            "user_id": [f"u{user}" for user in users],
            "campaign_id": np.array(CAMPAIGNS, dtype=object)[creative % 2],
            "creative_id": names[creative] if media else None,
            "platform": np.array(PLATFORMS, dtype=object)[platform],
            "clicked": clicked,
            "converted": converted,
            "cycle": cycle,
            "split": np.where(cycle < 6, "train", np.where(cycle < 8, "validation", "test")),
            "holdout": users % 10 < 3,
        }
    )
    impressions.to_parquet(dataset / "impressions.parquet", index=False)
    pd.DataFrame({"impression_id": impressions["impression_id"], "events": events}).to_parquet(
        dataset / "sequences.parquet", index=False
    )
    kept = range(creatives) if media else range(0)
    pd.DataFrame(
        {
            "creative_id": names[list(kept)],
            "image": pd.Series([image[index] if has_image[index] else None for index in kept], dtype=object),
            "text": pd.Series([text[index] if has_text[index] else None for index in kept], dtype=object),
        }
    ).to_parquet(features / "embeddings" / "creatives.parquet", index=False)
    encoders = ENCODERS if media else {"image": None, "text": None}
    (features / "embeddings" / "encoders.json").write_text(json.dumps(encoders))
    meta = Meta(
        source="toy",
        generated=True,
        currency="EUR",
        platforms=PLATFORMS,
        campaigns=CAMPAIGNS,
        start="2026-01-01T00:00:00Z",
        cycle_hours=24,
        cycles=10,
        first_cycle={"train": 0, "validation": 6, "test": 8},
        modalities=("image", "text", "behaviour") if media else ("behaviour",),
        provenance={},
        weekday_pattern=False,
        digest="toy",
    )
    (dataset / "meta.json").write_text(json.dumps(asdict(meta)))
    return dataset, features
