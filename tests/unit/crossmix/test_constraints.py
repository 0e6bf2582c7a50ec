"""Limits: the projection is exact, differentiable, and says what is infeasible."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmix.constraints import InfeasibleError, Limits, box, check, nearest, project, project_through


def _random(seed: int, batch: int = 64, platforms: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    share = torch.randn(batch, platforms, generator=g, dtype=torch.float64)
    low = torch.rand(batch, platforms, generator=g, dtype=torch.float64) / platforms
    high = (low + 2 * torch.rand(batch, platforms, generator=g, dtype=torch.float64) / platforms).clamp(max=1)
    ok = (low.sum(1) < 1) & (high.sum(1) > 1)
    return share[ok], low[ok], high[ok]


def _bisection(share: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    left = torch.full((len(share), 1), -50.0, dtype=share.dtype)
    right = -left
    for _ in range(200):
        middle = (left + right) / 2
        enough = torch.minimum(torch.maximum(share - middle, low), high).sum(1, keepdim=True) > 1
        left, right = torch.where(enough, middle, left), torch.where(enough, right, middle)
    return torch.minimum(torch.maximum(share - left, low), high)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_projection_is_the_exact_minimiser(seed: int) -> None:
    share, low, high = _random(seed)
    ours = project(share, low, high)
    torch.testing.assert_close(ours, _bisection(share, low, high), atol=1e-12, rtol=0)
    torch.testing.assert_close(ours.sum(1), torch.ones(len(ours), dtype=ours.dtype), atol=1e-12, rtol=0)
    assert (ours >= low).all()
    assert (ours <= high).all()


def test_a_feasible_split_stays() -> None:
    share = torch.tensor([[0.2, 0.3, 0.5]])
    torch.testing.assert_close(project(share, torch.zeros(1, 3), torch.ones(1, 3)), share)


def test_corner_and_pinned_boxes() -> None:
    share = torch.tensor([[5.0, -1.0, -2.0]])
    torch.testing.assert_close(project(share, torch.zeros(1, 3), torch.ones(1, 3)), torch.tensor([[1.0, 0.0, 0.0]]))
    pinned = torch.tensor([[0.2, 0.3, 0.5]])
    torch.testing.assert_close(project(share, pinned, pinned), pinned)


def test_without_torch_a_split_is_projected_alike() -> None:
    share, low, high = _random(5)
    for row, floor, cap, projected in zip(share, low, high, project(share, low, high), strict=True):
        np.testing.assert_allclose(nearest(row.numpy(), floor.numpy(), cap.numpy()), projected.numpy(), atol=1e-9)


def test_gradient_equals_finite_differences() -> None:
    share, low, high = (x[:8] for x in _random(3))
    share.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: project(x, low, high), (share,), eps=1e-7, atol=1e-5)


def test_straight_through_where_the_jacobian_vanishes() -> None:
    share = torch.tensor([[5.0, -1.0, -2.0]], requires_grad=True)
    low, high = torch.zeros(1, 3), torch.ones(1, 3)
    project(share, low, high)[0, 1].backward()
    assert float(share.grad.abs().sum()) == 0
    share.grad = None
    through = project_through(share, low, high)
    torch.testing.assert_close(through.detach(), project(share, low, high).detach())
    through[0, 1].backward()
    torch.testing.assert_close(share.grad, torch.tensor([[0.0, 1.0, 0.0]]))


def test_box_reduces_all_four_limits() -> None:
    limits = Limits(
        torch.tensor([0.0, 0.1, 0.2]),
        torch.tensor([0.5, 0.6, 0.9]),
        torch.tensor([False, True, False]),
        torch.tensor([0.05, 0.5, 0.1]),
    )
    low, high = box(limits, torch.tensor([[0.2, 0.3, 0.5]]))
    torch.testing.assert_close(low, torch.tensor([[0.15, 0.3, 0.4]]))
    torch.testing.assert_close(high, torch.tensor([[0.25, 0.3, 0.6]]))
    first_low, first_high = box(limits, None)
    torch.testing.assert_close(first_low[0], limits.minimum_P)
    torch.testing.assert_close(first_high[0], limits.maximum_P)


def test_a_share_left_outside_by_a_changed_limit_may_move_to_the_bound() -> None:
    limits = Limits(torch.zeros(2), torch.tensor([0.3, 1.0]), torch.zeros(2, dtype=torch.bool), torch.full((2,), 0.05))
    low, high = box(limits, torch.tensor([[0.6, 0.4]]))
    assert (low <= high).all()
    assert float(high[0, 0]) == pytest.approx(0.3)


def test_box_is_the_same_in_numpy() -> None:
    limits = Limits(
        torch.tensor([0.0, 0.1]), torch.tensor([0.6, 0.9]), torch.tensor([False, False]), torch.full((2,), 0.1)
    )
    arrays = Limits.arrays(limits.as_dict())
    ours = box(arrays, np.array([[0.4, 0.6]]))
    theirs = box(limits, torch.tensor([[0.4, 0.6]]))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-7)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ([0.5, 0.0], [0.4, 1.0], "min 0.5 of social is above its max 0.4"),
        ([0.6, 0.6], [1.0, 1.0], "mins sum to 1.2"),
        ([0.0, 0.0], [0.3, 0.4], "maxes sum to 0.7"),
        ([0.0, -0.1], [1.0, 1.0], "of video leaves"),
        ([0.0, float("nan")], [1.0, 1.0], "not a finite number"),
    ],
)
def test_infeasible_limits_name_the_bound(low: list[float], high: list[float], said: str) -> None:
    with pytest.raises(InfeasibleError, match=said):
        check(torch.tensor([low]), torch.tensor([high]), ["social", "video"])


def test_the_box_is_the_same_in_numpy_and_in_torch() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        low = rng.random(4) * 0.2
        raw = {
            "min": low.tolist(),
            "max": (low + rng.random(4)).clip(0, 1).tolist(),
            "freeze": (rng.random(4) < 0.3).tolist(),
            "step": rng.random(4).tolist(),
        }
        previous = rng.dirichlet(np.ones(4), 3).astype(np.float32)
        for last in (previous, None):
            ours = box(Limits.arrays(raw), last)
            theirs = box(Limits.from_dict(raw), None if last is None else torch.tensor(last))
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(one, other.numpy())


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_few_rows_are_checked_as_many_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(-0.02, 0.3, 4), rng.uniform(0.1, 1.02, 4)
    if seed % 5 == 0:
        high[rng.integers(4)] = np.nan

    def refused(rows: int) -> str | None:
        try:
            check(np.tile(low, (rows, 1)), np.tile(high, (rows, 1)))
        except InfeasibleError as error:
            return str(error)
        return None

    assert refused(1) == refused(2) == refused(20)
