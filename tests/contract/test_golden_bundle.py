"""A bundle saved before bundles carried their own layout loads, and answers with the same bytes (golden/bundle_2)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from crossmix import allocate, bundle
from crossmix.state import ALLOCATION
from serving.live.states import cold

GOLDEN = Path(__file__).with_name("golden") / "bundle_2"
ASKED: tuple[dict[str, Any], ...] = (
    {},
    {
        "budget": 50.0,
        "change": allocate.LimitChange(maximum={"shop": 0.1}),
        "previous_P": np.array([0.4, 0.3, 0.2, 0.1]),
    },
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    folder = tmp_path_factory.mktemp("golden") / "bundle"
    with zipfile.ZipFile(GOLDEN / "bundle.zip") as archive:
        archive.extractall(folder)
    return bundle.load(folder)


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "answers.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def texts() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / "answers.json").read_text())
    return content


def test_it_loads_as_the_layout_of_the_budget_split(loaded: bundle.Bundle, texts: dict[str, Any]) -> None:
    assert isinstance(json.loads((loaded.path / "state_layout.json").read_text())["layout"], list)
    assert loaded.layout == ALLOCATION
    assert loaded.layout.digest == loaded.manifest["layout_digest"] == texts["layout_digest"]
    assert loaded.digest == texts["digest"]
    assert loaded.platforms == ("search", "social", "video", "shop")


def test_it_answers_with_the_same_bytes(loaded: bundle.Bundle, answers: dict[str, np.ndarray]) -> None:
    """Byte for byte what its own graph says on this machine; other processors order their sums differently."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = str(loaded.path / "policy.onnx")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    asked = {"state": answers["states"], "low": answers["low"], "high": answers["high"]}
    for noise, share_name in ((None, "share"), (answers["noise"], "noisy")):
        share, logits = loaded.decide(answers["states"], answers["low"], answers["high"], noise)
        own = session.run(["share", "logits"], asked | ({} if noise is None else {"noise": noise}))
        assert (share.tobytes(), logits.tobytes()) == (own[0].tobytes(), own[1].tobytes())
        assert np.abs(share - answers[share_name]).max() <= 1e-6
        assert np.abs(logits - answers["logits"]).max() <= 1e-5


def test_states_are_put_together_as_they_were(loaded: bundle.Bundle, answers: dict[str, np.ndarray]) -> None:
    statistics = ALLOCATION.statistics(answers["states"])
    names = loaded.campaigns
    encoded = np.concatenate([loaded.encode(names[row % 2], statistics[row]) for row in range(4)])
    assert encoded.tobytes() == answers["encoded"].tobytes()
    assert ALLOCATION.clamp(answers["raw"], 4).tobytes() == answers["clamped"].tobytes()
    raw = torch.tensor(answers["raw"])
    assembled = ALLOCATION.encode(torch.zeros(6, 512), raw[:, :48].reshape(6, 4, 12), raw[:, 120:])
    assert assembled.numpy().tobytes() == answers["assembled"].tobytes()
    share, low, high = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0, 0.1, 0, 0]), np.array([0.7, 0.8, 1, 0.9])
    assert cold(ALLOCATION, share, low, high, 5).statistics_S.tobytes() == answers["cold"].tobytes()


def test_its_explanations_stay(loaded: bundle.Bundle, answers: dict[str, np.ndarray], texts: dict[str, Any]) -> None:
    statistics = ALLOCATION.statistics(answers["states"])
    for row, (asked, want) in enumerate(zip(ASKED, texts["explained"], strict=True)):
        name = loaded.campaigns[row]
        answer = allocate.explain(loaded, statistics[-1 - row], name, loaded.responses[name], **asked).as_dict()
        plain = json.loads(json.dumps(answer))
        # It was saved before bundles told what they believe, and says so.
        assert plain["belief"] is plain["moved"] is None
        assert "those of an average day without drift" in plain["reasons"][-1]
        assert [one["reason"] for one in plain["platforms"]] == [one["reason"] for one in want["platforms"]]
        assert {key: plain[key] for key in ("campaign", "currency", "binding", "notes", "bundle")} == {
            key: want[key] for key in ("campaign", "currency", "binding", "notes", "bundle")
        }
        for got, expected in zip((plain, *plain["platforms"]), (want, *want["platforms"]), strict=True):
            numbers = [key for key, value in expected.items() if isinstance(value, float)]
            assert {key: got[key] for key in numbers} == pytest.approx(
                {key: expected[key] for key in numbers}, rel=1e-5
            )
