"""Several ranks: the same batch, the same end after a SIGKILL, another number of ranks from the same checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from crossmix import ranks
from crossmix.config import Config, ConfigError, load, to_json
from crossmix.market.model import save
from crossmix.ranks import RankError
from crossmix.training import trainjob
from crossmix.training.loop import train
from crossmix.training.policy_file import TrainedPolicy
from crossmix.training.run import TrainingError
from tests.support.markets import make_market
from tests.support.services import free_port
from tests.support.trainer_api import NAMESPACE, serving

SMALL = [
    *("train.pathwise.updates=20", "train.pathwise.batch=32", "train.pathwise.hidden=[32,32]"),
    *("train.ddpg.critic_hidden=[32]", "train.ddpg.batch=32", "train.ddpg.warm_up=5"),
    *("train.cycles=10", "train.episodes=64", "train.parallel=8"),
]


def _config(*more: str) -> Config:
    return load("laptop", [*SMALL, *more])


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    save(make_market(platforms=4), folder)
    return folder


def _policy(folder: Path) -> dict[str, torch.Tensor]:
    return dict(TrainedPolicy.load(folder).weights)


@pytest.fixture(scope="module")
def two(market: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[dict]]:
    """Two ranks on one machine: result, work, what was told. They are started within the pod of a TrainJob with more
    nodes, whose variables are not theirs."""
    folder = tmp_path_factory.mktemp("two")
    told: list[dict] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PET_NNODES": "3", "PET_NPROC_PER_NODE": "4", "PET_NODE_RANK": "1", "RANK": "1"}.items():
            patch.setenv(name, value)
        train(_config("train.ranks=2"), market, folder / "out", folder / "work", told.append)
    return folder / "out", folder / "work", told


def test_two_ranks_end_alike_when_one_is_killed(
    market: Path, tmp_path: Path, two: tuple[Path, Path, list[dict]]
) -> None:
    cut = tmp_path / "cut"
    whole, _, told = two
    curve = json.loads((whole / "curve.json").read_text())
    assert curve["ranks"] == 2
    assert told == curve["points"]  # passed on from the first rank's process

    work, killed, ended = tmp_path / "w2", [], threading.Event()

    def kill_one() -> None:
        """Kill the second rank once the first hybrid rounds are saved, or more of them where this looks late."""
        while not ended.wait(0.05):
            if any(int(file.name.split("-")[1]) >= 2 for file in work.glob("checkpoint.replay-*-001of002.pt")):
                victim = _rank(1, str(work))
                if victim is not None:
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)
                    return

    thread = threading.Thread(target=kill_one)
    thread.start()
    try:
        train(_config("train.ranks=2"), market, cut, work)
    finally:
        ended.set()
        thread.join()
    assert killed
    ours, theirs = _policy(whole), _policy(cut)
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
    again = json.loads((cut / "curve.json").read_text())
    assert [p["validation_ratio"] for p in again["points"]] == [p["validation_ratio"] for p in curve["points"]]


def test_two_nodes_of_a_trainjob_give_the_bytes_of_two_ranks_on_one(
    market: Path, tmp_path: Path, two: tuple[Path, Path, list[dict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pods are processes here, with the environment that Trainer gives each of them."""
    place = {"namespace": NAMESPACE, "image": "crossmix-train@sha256:" + "0" * 64, "nodes": 2, "gpus": 0}
    monkeypatch.setenv(trainjob.VARIABLE, json.dumps(place))
    nodes: list[subprocess.Popen[str]] = []
    with serving(tmp_path) as (api, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        port = free_port()

        def start(job: dict) -> None:
            trainer = job["spec"]["trainer"]
            for number in range(trainer["numNodes"]):
                pod = {"PET_NNODES": "2", "PET_NODE_RANK": str(number), "PET_MASTER_ADDR": "127.0.0.1"}
                pod |= {"PET_MASTER_PORT": str(port)} | {one["name"]: one["value"] for one in trainer["env"]}
                command = [sys.executable, "-m", "torch.distributed.run", *trainer["args"]]
                nodes.append(subprocess.Popen(command, env=os.environ | pod, stderr=subprocess.PIPE, text=True))
            threading.Thread(target=end, args=(job["metadata"]["name"],)).start()

        def end(name: str) -> None:
            said = [node.communicate()[1] for node in nodes]
            api.log = "\n".join(said)
            api.become(name, "Failed" if any(node.returncode for node in nodes) else "Complete")

        api.made = start
        told: list[dict] = []
        monkeypatch.setattr(trainjob, "EVERY", 0.5)
        try:
            curve = train(_config("train.ranks=2"), market, tmp_path / "out", tmp_path / "work", told.append)
        finally:
            for node in nodes:
                node.kill()
        assert [job["metadata"]["name"] for job in api.posted] == api.deleted
    assert (curve["ranks"], told) == (2, curve["points"])
    for name, value in _policy(two[0]).items():
        assert torch.equal(value, _policy(tmp_path / "out")[name]), name


def test_another_number_of_processes_than_ranks_is_refused_in_a_sentence(market: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(to_json(_config("train.ranks=4")))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *("-m", "crossmix.training.loop", str(config), str(market), str(tmp_path / "out"), str(tmp_path)),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 1
    sentence = (
        "train.ranks: 4, but 2 processes were started (nodes times processes of each); start 4, or set train.ranks=2"
    )
    assert f"train: {sentence}" in done.stderr
    assert (tmp_path / "failed.txt").read_text() == sentence


def test_more_ranks_than_gpus_are_refused_before_they_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(RankError, match=r"2 ranks on a machine with 1 GPU, and each needs its own; set train\.ranks=1"):
        ranks.launch("crossmix.nowhere", [], 2, 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(RankError, match="2 ranks on a machine with 1 GPU"), ranks.group():
        pass


def test_a_checkpoint_of_two_ranks_goes_on_with_one(
    market: Path, tmp_path: Path, two: tuple[Path, Path, list[dict]]
) -> None:
    work = tmp_path / "work"
    shutil.copytree(two[1], work)
    # As if it had been stopped before its last rounds: forget them.
    path = work / "checkpoint.pt"
    kept = torch.load(path, weights_only=True)
    done = kept["progress"]["update"]
    kept["progress"] |= {"update": done - 2, "stopped": "", "episode": kept["progress"]["episode"] - 4}
    torch.save(kept, path)
    curve = train(_config("train.ranks=1"), market, tmp_path / "one", work)
    assert curve["points"][: len(kept["progress"]["points"])] == kept["progress"]["points"]
    assert curve["points"][-1]["update"] == done
    assert curve["ranks"] == 1


def test_the_batch_is_the_same_however_many_share_it(market: Path, tmp_path: Path) -> None:
    # The environment's rows are dealt to ranks, so that two ranks see what one sees in law, not in its draws:
    # the averaged gradient itself is compared where the data are equal.
    code = (
        "import sys, torch; from crossmix import ranks\n"
        "with ranks.group():\n"
        "    torch.manual_seed(0); net = torch.nn.Linear(5, 1); x = torch.randn(8, 5)\n"
        "    optimiser = torch.optim.SGD(net.parameters(), 0.1)\n"
        "    mine = x[ranks.rank() * 4:(ranks.rank() + 1) * 4] if ranks.size() > 1 else x\n"
        "    ranks.optimiser_step(optimiser, net(mine).square().mean(), 1e9)\n"
        "    loss = net(mine).square().mean()\n"
        "    ranks.optimiser_step(optimiser, loss, 1e9, unit=loss)\n"
        "    assert ranks.gather(mine).shape == (8, 5) and torch.equal(ranks.gather(mine), x)\n"
        "    assert abs(float(ranks.mean(mine.mean())) - float(x.mean())) < 1e-6\n"
        "    ranks.rank() == 0 and torch.save(net.state_dict(), sys.argv[1])\n"
    )
    (tmp_path / "probe_of_ranks.py").write_text(code)
    weights = []
    for number in (1, 2):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"),
                *(str(tmp_path / "probe_of_ranks.py"), str(tmp_path / f"{number}.pt")),
            ],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        weights.append(torch.load(tmp_path / f"{number}.pt", weights_only=True))
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name])


def test_what_stops_a_rank_stops_the_run_with_its_reason(market: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"is (nan|-?inf).*learning rate"):
        train(
            _config("train.ranks=2", "train.agent=pathwise", "train.plan=false", "train.pathwise.learning_rate=1e30"),
            *(market, tmp_path / "out", tmp_path / "work"),
        )
    with pytest.raises(RankError, match=r"train\.ranks = 2: torchrun ended with status 1 after 0 restarts"):
        ranks.launch("crossmix.nowhere", [], 2, 0)
    with pytest.raises(ConfigError, match=r"train\.ranks: 3 ranks cannot share 8 rows evenly \(train\.parallel\)"):
        _config("train.ranks=3")


def _rank(wanted: int, mark: str) -> int | None:
    """Process id of a rank, by its environment and its command line."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in command and f"\0RANK={wanted}\0".encode() in variables:
                return int(folder.name)
    return None
