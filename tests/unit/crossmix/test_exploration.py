"""The law of exploration: one density for numpy and torch, that of the cut Gaussian, sampled and integrated."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from crossmix.config import load
from crossmix.exploration import Exploration

LAW = Exploration(0.1, 2.0)
CUT = stats.truncnorm(-2, 2, scale=0.1)


def test_it_is_what_the_config_serves_by() -> None:
    config = load("laptop", ["online.sigma=0.02", "serving.explore_bound=1.5"])
    assert Exploration.of(config) == Exploration(0.02, 1.5)


def test_keyed_noise_follows_the_cut_gaussian() -> None:
    drawn = np.concatenate([LAW.keyed_noise(("salt", n), 50) for n in range(400)])
    assert stats.kstest(drawn, CUT.cdf).pvalue > 0.01
    assert np.abs(drawn).max() <= 0.2


def test_a_key_keeps_its_noise_and_density_to_the_last_digit() -> None:
    # What a server answers for a cycle must not move with a release.
    noise = LAW.keyed_noise(("salt", "spring", "policy", 3, "digest"), 3)
    assert noise.tolist() == [-0.0742175210461134, -0.1720232082701835, 0.12150374679638275]
    assert LAW.log_density_of_noise(noise) == 1.7974741612774534


@pytest.mark.parametrize("bound", [0.5, 2.0, math.inf])
def test_samples_follow_the_law_and_come_with_their_density(bound: float) -> None:
    law, mean = replace(LAW, bound=bound), torch.linspace(-3, 3, 40_000).reshape(-1, 4)
    logits, density = law.sample(mean, torch.Generator().manual_seed(0))
    cut = stats.truncnorm(-bound, bound, scale=0.1)
    noise = (logits - mean).double().numpy()
    assert stats.kstest(noise.ravel(), cut.cdf).pvalue > 0.01
    torch.testing.assert_close(density.double(), torch.from_numpy(cut.logpdf(noise).sum(1)), rtol=0, atol=2e-3)
    torch.testing.assert_close(density, law.log_density(mean, logits), rtol=0, atol=0)


def test_the_density_integrates_to_one_and_is_zero_outside() -> None:
    def density(x: float) -> float:
        return math.exp(LAW.log_density_of_noise(np.array([x])))

    assert integrate.quad(density, -0.2, 0.2)[0] == pytest.approx(1, abs=1e-9)
    # Two platforms are independent.
    both = integrate.dblquad(lambda y, x: math.exp(LAW.log_density_of_noise(np.array([x, y]))), -0.2, 0.2, -0.2, 0.2)
    assert both[0] == pytest.approx(1, abs=1e-6)
    for outside in (-0.2001, 0.2001, 5.0):
        assert density(outside) == 0
        assert LAW.log_density(torch.zeros(1, 2), torch.tensor([[0.0, outside]])).tolist() == [-math.inf]
    # At the cut itself float32 decides nothing.
    assert density(0.2) > 0
    assert LAW.log_density(torch.full((1, 1), 3.0), torch.full((1, 1), 3.2)).isfinite().all()


def test_servers_and_learners_read_one_density() -> None:
    noise = np.stack([LAW.keyed_noise(("salt", n), 10) for n in range(50)])
    mean = torch.zeros(50, 10, dtype=torch.float64)
    learner = LAW.log_density(mean, torch.from_numpy(noise))
    server = torch.tensor([LAW.log_density_of_noise(row) for row in noise], dtype=torch.float64)
    torch.testing.assert_close(learner, server, rtol=1e-12, atol=0)
    torch.testing.assert_close(server, torch.from_numpy(CUT.logpdf(noise).sum(1)), rtol=1e-9, atol=0)


@pytest.mark.parametrize("bound", [0.5, 2.0, math.inf])
def test_the_entropy_is_that_of_the_law(bound: float) -> None:
    law = stats.norm(scale=0.1) if math.isinf(bound) else stats.truncnorm(-bound, bound, scale=0.1)
    wanted = 3 * float(law.entropy())
    assert replace(LAW, bound=bound).entropy(3) == pytest.approx(wanted, rel=1e-9)


def test_the_gradient_is_the_gaussians_within_the_cut_and_none_beyond() -> None:
    mean = torch.zeros(2, 3, requires_grad=True)
    logits = torch.tensor([[0.05, -0.1, 0.15], [0.05, 0.3, 0.0]])
    density = LAW.log_density(mean, logits)
    density.exp().sum().backward()
    assert mean.grad is not None
    torch.testing.assert_close(mean.grad[0], density[0].exp().detach() * logits[0] / 0.01)
    assert mean.grad[1].tolist() == [0, 0, 0]


def test_a_server_needs_no_torch_for_it() -> None:
    probe = (
        "import sys; from crossmix.exploration import Exploration; law = Exploration(0.1, 2.0); "
        "law.log_density_of_noise(law.keyed_noise(('a',), 3)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
