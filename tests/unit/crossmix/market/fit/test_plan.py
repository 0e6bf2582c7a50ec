"""A plan's split is the nearest within its limits, and what has nothing keeps exactly nothing."""

import numpy as np
import pytest
import torch

from crossmix.constraints import project
from crossmix.market.fit.plan import within


@pytest.mark.parametrize("platforms", [4, 6])
@pytest.mark.parametrize("most", [1.0, 0.02])
def test_what_has_nothing_keeps_exactly_nothing(platforms: int, most: float) -> None:
    """In hundreds of random splits, limits free or held to a probe where nothing is spent."""
    rng = np.random.default_rng(7)
    share_CP = rng.gamma(3, 1, (400, platforms))
    share_CP[:, -1] = 0
    share_CP[200:, 0] = 0
    share_CP /= share_CP.sum(1, keepdims=True)
    crumbs = 0
    for share_1P in share_CP[:, None]:
        low, high = torch.zeros(1, platforms), torch.ones(1, platforms)
        high[:, -1] = most
        projected = project(torch.tensor(share_1P, dtype=torch.float32), low, high).numpy()
        crumbs += int((projected[share_1P == 0] > 0).any())
        split_1P = within(share_1P, low, high).numpy()
        assert (split_1P[share_1P == 0] == 0).all()
        assert split_1P.sum() == pytest.approx(1, abs=1e-6)
        assert split_1P == pytest.approx(share_1P, abs=1e-6)
    # The projection alone leaves crumbs.
    assert crumbs > 0


def test_a_split_without_zeros_is_its_projection() -> None:
    """To the last bit, and so is one that a minimum or the others' maxima give what it had not."""
    rng = np.random.default_rng(8)
    share_CP = rng.dirichlet(np.full(5, 2.0), 200)
    low, high = torch.zeros(200, 5), torch.full((200, 5), 0.6)
    expected = project(torch.tensor(share_CP, dtype=torch.float32), low, high)
    assert torch.equal(within(share_CP, low, high), expected)
    share_CP = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]])
    low, high = torch.tensor([[0.0, 0.0, 0.05], [0.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 1.0], [0.45, 0.45, 1.0]])
    split_CP = within(share_CP, low, high)
    assert split_CP[:, 2].tolist() == pytest.approx([0.05, 0.225])
