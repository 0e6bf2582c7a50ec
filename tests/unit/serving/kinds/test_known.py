"""Kinds that are served, each by the name of its bundles; one without its part here is refused by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmix import bundle as bundles
from crossmix.bundle import BundleError
from crossmix.config import digest
from serving.kinds.known import KNOWN, Known


def test_every_kind_but_the_split_is_served() -> None:
    assert set(KNOWN) == set(bundles.KINDS) - {"split"}
    assert {one.task: one.kind for one in KNOWN.values()} | {"split": "split"} == dict(bundles.KIND_OF_TASK)


def _manifest(folder: Path, kind: str) -> None:
    content = {"format": bundles.FORMAT, "kind": kind, "files": {}, "data_digest": "d", "config_digest": "c"}
    content["digest"] = digest(
        {key: content[key] for key in ("format", "files", "data_digest", "config_digest", "kind")}
    )
    (folder / "manifest.json").write_text(json.dumps({**content, "seal": digest(content)}))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("podcasts", "kind 'podcasts' is unknown here; this version reads split, journey, creators"),
        ("journey", "a bundle of kind 'journey' where one of kind 'creators' is asked for"),
    ],
)
def test_another_kind_is_refused_by_name(tmp_path: Path, kind: str, says: str) -> None:
    _manifest(tmp_path, kind)
    with pytest.raises(BundleError, match=says):
        KNOWN["creators"].opened(tmp_path)


def test_a_kind_without_its_part_is_refused_by_name() -> None:
    known = Known(
        kind="journey", registered="journey_model", load="", answering="serving.kinds.nowhere:Nothing", task="journeys"
    )
    with pytest.raises(BundleError, match="kind 'journey': this version of crossmix has nothing that answers it"):
        known.answers(None, None)
