"""The ingest step of task `creators`: a CSV, or a generated catalogue, becomes catalogue.npz and catalogue.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crossmix.artifacts.creators import CatalogueReport, ChannelCreators
from crossmix.config import Config
from crossmix.creators.catalogue import Catalogue, read
from crossmix.creators.generated import demo
from crossmix.creators.stored import digest, save_catalogue

GENERATED = "demo-creators"


def ingest(config: Config, out: Path) -> CatalogueReport:
    """Write the catalogue of `data.source` into `out` (exists, empty).

    Raises:
        DataError: the file cannot be used; the message names line, field, value and remedy.
    """
    if config.data.source == GENERATED:
        catalogue = demo(config.creators.demo.creators, config.creators.demo.seed).catalogue
    else:
        catalogue = read(Path(str(config.data.path)))
    save_catalogue(catalogue, out)
    told = report(catalogue, config.data.source)
    told.save(out)
    return told


def report(catalogue: Catalogue, source: str) -> CatalogueReport:
    """Counts and medians."""
    count_N = np.bincount(catalogue.of_E, minlength=len(catalogue))
    channels = {}
    for at, name in enumerate(catalogue.channels):
        of = catalogue.channel_N == at
        channels[name] = ChannelCreators(
            creators=int(of.sum()),
            median_followers=float(np.median(catalogue.followers_N[of])),
            median_price=float(np.median(catalogue.price_N[of])),
            median_rate=float(np.median(catalogue.rate_N[of])),
            results=int(count_N[of].sum()),
        )
    members = np.bincount(catalogue.category_G, minlength=len(catalogue.categories))
    contents = np.bincount(catalogue.content_N, minlength=len(catalogue.contents))
    return CatalogueReport(
        source=source,
        digest=digest(catalogue),
        generated=catalogue.generated,
        currency=catalogue.currency,
        creators=len(catalogue),
        with_results=int((count_N > 0).sum()),
        results=len(catalogue.result_E),
        categories=dict(zip(catalogue.categories, members.tolist(), strict=True)),
        contents=dict(zip(catalogue.contents, contents.tolist(), strict=True)),
        channels=channels,
    )
