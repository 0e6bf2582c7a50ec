"""Networks on disk: bit for bit, nothing in them that could run, and files of earlier versions read too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from crossmix.agents.mpc import TABLES
from crossmix.artifacts import ActorSizes, ArtifactError, PolicyHeader
from crossmix.exploration import Exploration
from crossmix.fading import NEUTRAL
from crossmix.training.policy_file import (
    POLICY_FILES,
    START_FILES,
    AdaptationStart,
    TrainedPolicy,
    load_policy,
    policy_digest,
)
from crossmix.training.run import TrainingError
from tests.support.actors import SIZES, actor, same, start, trained


def test_a_policy_comes_back_bit_for_bit(tmp_path: Path) -> None:
    policy = actor()
    trained(policy).save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(POLICY_FILES)
    read = TrainedPolicy.load(tmp_path)
    assert same(read.policy().state_dict(), policy.state_dict())
    assert torch.equal(read.log_sigma_P, torch.linspace(-2, -1, 4))
    assert (read.actor, read.parent) == (SIZES, "f" * 64)
    assert not load_policy(tmp_path).training
    trained(policy).save(tmp_path / "..")
    assert (tmp_path / ".." / PolicyHeader.TENSORS).read_bytes() == (tmp_path / PolicyHeader.TENSORS).read_bytes()


def test_a_start_comes_back_bit_for_bit_with_a_rate_per_parameter(tmp_path: Path) -> None:
    policy = actor(1)
    saved = start(policy)
    saved.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(START_FILES)
    read = AdaptationStart.load(tmp_path)
    assert same(read.policy().state_dict(), policy.state_dict())
    assert list(read.rates()) == [name for name, _ in policy.named_parameters()]
    assert torch.equal(torch.stack(list(read.rates().values())), saved.log_rates.exp())
    assert read.steps == 5


@pytest.mark.parametrize("sizes", [SIZES, ActorSizes(platforms=3, hidden=(), platform_net=0)])
def test_files_of_earlier_versions_are_read(sizes: ActorSizes, tmp_path: Path) -> None:
    policy = actor(2, sizes, plan=sizes.platform_net > 0)
    weights = policy.state_dict()
    sigma, rates = torch.zeros(sizes.platforms), torch.randn(len(list(policy.parameters())))
    blob = {
        "policy": weights,
        "platforms": sizes.platforms,
        "hidden": list(sizes.hidden),
        "platform_net": sizes.platform_net,
        "log_sigma": sigma,
    }
    torch.save(blob, tmp_path / "policy.pt")
    torch.save({"policy": weights, "log_rates": rates, "steps": 3}, tmp_path / "meta.pt")
    old = TrainedPolicy.load(tmp_path)
    assert same(old.policy().state_dict(), weights)
    assert (old.actor, old.parent) == (sizes, None)
    begun = AdaptationStart.load(tmp_path)
    assert same(begun.policy().state_dict(), weights)
    assert (begun.actor, begun.steps) == (sizes, 3)  # told by the weights alone
    assert list(begun.rates()) == [name for name, _ in policy.named_parameters()]
    before = policy_digest(tmp_path)
    assert before == hashlib.sha256((tmp_path / "policy.pt").read_bytes()).hexdigest()
    old.save(tmp_path)  # what is written anew is the new form, and is read first
    assert same(TrainedPolicy.load(tmp_path).policy().state_dict(), weights)
    assert policy_digest(tmp_path) != before


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    torch.save({"policy": Path("/")}, tmp_path / "policy.pt")
    with pytest.raises(Exception, match="weights_only"):
        TrainedPolicy.load(tmp_path)


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"policy\.json: missing; `crossmix run` writes it"):
        TrainedPolicy.load(tmp_path)
    trained(actor()).save(tmp_path)
    file = tmp_path / PolicyHeader.TENSORS
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"policy\.safetensors: .*write it anew with `crossmix run`"):
        TrainedPolicy.load(tmp_path)
    file.unlink()
    with pytest.raises(ArtifactError, match=r"policy\.safetensors: missing"):
        TrainedPolicy.load(tmp_path)


def test_a_policy_without_a_table_of_the_plan_is_to_be_trained_again(tmp_path: Path) -> None:
    weights = {name: value for name, value in actor().state_dict().items() if name != f"planner.{TABLES[0]}"}
    TrainedPolicy(weights, torch.zeros(4), SIZES).save(tmp_path)
    with pytest.raises(TrainingError, match=rf"{tmp_path}: trained before the plan had {TABLES[0]}; train again"):
        load_policy(tmp_path)


def test_a_fine_tuned_policy_names_its_parent(tmp_path: Path) -> None:
    parent, law = trained(actor()), Exploration(0.02, 2.0)
    child = parent.fine_tuned(actor(1), law)
    grandchild = child.fine_tuned(actor(2), law)
    assert child.actor == parent.actor
    assert same(child.weights, actor(1).state_dict())
    assert child.log_sigma_P.exp().tolist() == pytest.approx([0.02] * 4)
    assert child.parent == parent.fine_tuned(actor(3), law).parent
    assert len({parent.parent, child.parent, grandchild.parent}) == 3
    child.save(tmp_path)
    assert TrainedPolicy.load(tmp_path).parent == child.parent


def test_a_plan_of_before_conversions_could_fade_follows_clicks() -> None:
    policy = actor()
    assert policy.planner is not None
    late = {f"planner.{name}" for name in NEUTRAL}
    weights = {name: table for name, table in policy.state_dict().items() if name not in late}
    read = TrainedPolicy(weights, torch.zeros(SIZES.platforms), SIZES).policy()
    assert read.planner is not None
    assert not dict(read.planner.named_buffers())["elasticity"].any()
    assert same({name: read.state_dict()[name] for name in weights}, weights)
