"""What a benchmark that was cut off finds again: folders of what is no plain data, trainings half done, its run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch

from benchmarks import adapt
from benchmarks._resumed import Resumed, of_run
from crossmix.artifacts import RunRecord


def test_a_benchmark_that_was_cut_off_goes_on_from_what_it_kept(tmp_path: Path) -> None:
    file, of, asked = tmp_path / "parts.json", {"seed": 1}, []

    def part(name: str) -> list[str]:
        asked.append(name)
        return [name]

    first = Resumed(file, of)
    assert first.part("a", lambda: part("a")) == ["a"]
    again = Resumed(file, of)
    assert again.seconds == first.seconds
    assert [again.part(name, lambda name=name: part(name)) for name in ("a", "b")] == [["a"], ["b"]]  # type: ignore[misc]
    assert asked == ["a", "b"]
    with pytest.raises(ValueError, match="name another file"):
        Resumed(file, {"seed": 2})


def test_a_folder_is_made_once_and_one_that_was_cut_off_anew(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(sorted(path.name for path in folder.iterdir()))
        (folder / "policy").write_text(str(len(made)))
        if len(made) == 1:
            raise KeyboardInterrupt

    kept = Resumed(tmp_path / "parts.json", {"seed": 1})
    with pytest.raises(KeyboardInterrupt):
        kept.folder("a policy, seed 0", make)
    first = kept.folder("a policy, seed 0", make)
    assert made == [[], []], "what was half written is gone"
    again = Resumed(tmp_path / "parts.json", {"seed": 1}).folder("a policy, seed 0", make)
    assert (again, (again / "policy").read_text(), len(made)) == (first, "2", 2)
    other = Resumed(tmp_path / "others.json", {"seed": 2}).folder("a policy, seed 0", make)
    assert (other / "policy").read_text() == "3"


def test_folders_of_another_seed_are_not_found_under_the_same_file(tmp_path: Path) -> None:
    """Nothing tells the two apart before a part is finished, as the file is not there."""
    one, two = (Resumed(tmp_path / "parts.json", {"seed": seed}).beside("maml.pt") for seed in (1, 2))
    assert one.name == two.name
    assert one.parent != two.parent


def test_without_a_file_what_is_kept_goes_with_the_process(tmp_path: Path) -> None:
    kept = Resumed(None, {})
    folder = kept.folder("policy", lambda folder: (folder / "x").touch())
    assert (folder / "x").exists()
    del kept
    assert not folder.exists()


def test_parts_are_those_of_a_run_of_these_steps(tmp_path: Path) -> None:
    steps = {name: f"steps/{name}/k{slot}.0" for slot, name in enumerate(("market", "train", "register"))}
    RunRecord(run_id="1", config={}, steps=steps).save(tmp_path)
    of = of_run(tmp_path / steps["train"], seeds=(0, 9))
    assert of == {"steps": {"market": "steps/market/k0.0", "train": "steps/train/k1.0"}, "seeds": (0, 9)}
    file = tmp_path / "parts.json"
    Resumed(file, of).part("a", lambda: 1)
    assert Resumed(file, of).part("a", lambda: 2) == 1, "a tuple reads back as it was written"


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3))


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Adam's moments go on, and every step is told its number once."""

    def trained(file: Path, until: int) -> tuple[torch.Tensor, list[int]]:
        module, told = Counter(), []
        optimiser = torch.optim.Adam(module.parameters(), 0.1)

        def step(done: int) -> None:
            if done == until:
                raise KeyboardInterrupt
            told.append(done)
            optimiser.zero_grad()
            ((module.weight - torch.tensor([1.0, float(done), -2.0])) ** 2).sum().backward()
            optimiser.step()

        with suppress(KeyboardInterrupt):
            adapt.trained_on(file, {"module": module, "optimiser": optimiser}, 2 * adapt.EVERY + 3, step)
        return module.weight.detach(), told

    whole, _ = trained(tmp_path / "whole.pt", -1)
    trained(tmp_path / "cut.pt", adapt.EVERY + 7)
    again, told = trained(tmp_path / "cut.pt", -1)
    assert told[0] == adapt.EVERY
    torch.testing.assert_close(again, whole, rtol=0, atol=0)
    ended, told = trained(tmp_path / "cut.pt", -1)
    assert told == []
    torch.testing.assert_close(ended, whole, rtol=0, atol=0)
