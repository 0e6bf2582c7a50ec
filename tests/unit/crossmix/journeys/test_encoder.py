from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.journeys.encoder import MAKERS, make
from crossmix.journeys.log import JourneyError
from crossmix.journeys.settings import Journeys, Learning, Mtorl
from crossmix.journeys.windows import cut
from tests.support.journeys import events, table

SMALL = Journeys(learning=Learning(width=16, dropout=0.3))
WAYS = [replace(SMALL, encoder=name) for name in MAKERS] + [
    replace(SMALL, mtorl=Mtorl(**{switch: False})) for switch in ("use_tcn", "use_attention", "use_norm")
]


@pytest.mark.parametrize("settings", WAYS)
def test_a_change_after_a_step_changes_nothing_at_or_before_it(settings: Journeys) -> None:
    torch.manual_seed(0)
    encoder = make(9, settings).eval()
    feature, real = torch.randn(4, 20, 9), torch.ones(4, 20, dtype=torch.bool)
    whole = encoder(feature, real)
    assert whole.shape == (4, 20, 16)
    for step in (0, 7, 18):
        changed = feature.clone()
        changed[:, step + 1 :] += 10 * torch.randn(4, 19 - step, 9)
        other = encoder(changed, real)
        torch.testing.assert_close(other[:, : step + 1], whole[:, : step + 1])
        assert not torch.allclose(other[:, step + 1 :], whole[:, step + 1 :])


@pytest.mark.parametrize("settings", WAYS)
def test_padding_changes_nothing_and_is_zero(settings: Journeys) -> None:
    of = events(10)
    windows = cut(of, 12)
    steps = table(of, windows.row_S)
    encoder = make(steps.layout.size, settings).eval()
    batch = steps.batch(windows)
    hidden = encoder(batch.feature_BTF, batch.real_BT)
    assert (~batch.real_BT).any()
    assert (hidden[~batch.real_BT] == 0).all()
    short = int(np.argmin(windows.real_NT.sum(axis=1)))
    count = int(windows.real_NT[short].sum())
    alone = encoder(batch.feature_BTF[short : short + 1, :count], batch.real_BT[short : short + 1, :count])
    torch.testing.assert_close(alone[0], hidden[short, :count])


def test_dropout_is_active_in_training_alone() -> None:
    for settings in WAYS[:2]:
        encoder = make(9, settings)
        feature, real = torch.randn(2, 6, 9), torch.ones(2, 6, dtype=torch.bool)
        assert not torch.equal(encoder.train()(feature, real), encoder(feature, real))
        assert torch.equal(encoder.eval()(feature, real), encoder(feature, real))


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(JourneyError, match=r"journeys\.encoder: 'bert' is unknown; use one of mtorl, gru"):
        make(9, replace(SMALL, encoder="bert"))  # type: ignore[arg-type]
