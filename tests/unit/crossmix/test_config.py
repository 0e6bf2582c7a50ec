"""The config tree: presets, strictness, and what the errors say."""

import ast
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from crossmix import config
from crossmix.config import ConfigError, laptop, paper


def test_paper_states_the_papers_hyper_parameters() -> None:
    c = paper()
    assert (c.fusion.modality_dim, c.fusion.text_tokens, c.fusion.behaviour_embedding) == (512, 128, 128)
    assert (c.fusion.behaviour_layers, c.fusion.behaviour_hidden, c.fusion.behaviour_heads) == (4, 256, 8)
    assert (c.fusion.attention_heads, c.fusion.head_dim, c.fusion.dropout) == (8, 64, 0.2)
    assert (c.market.lognormal_mu, c.market.lognormal_sigma) == (1.2, 0.5)
    assert (c.reward.roi, c.reward.ctr, c.reward.cvr, c.reward.budget, c.reward.excess) == (0.5, 0.3, 0.2, 0.2, 0.1)
    assert (c.train.ppo.clip, c.train.ppo.learning_rate, c.train.ppo.entropy) == (0.2, 3e-4, 0.01)
    assert (c.train.episodes, c.train.cycles, c.train.patience, c.window) == (2_000, 100, 50, 20)
    assert c.train.pathwise.hidden == (512, 512)
    assert c.train.ppo.critic_hidden == (256, 256, 256)
    assert (c.gates.deviation, c.gates.divergence) == (0.05, 0.1)


def _leaves(node: object, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for item in fields(node):  # type: ignore[arg-type]
        value = getattr(node, item.name)
        found |= _leaves(value, f"{prefix}{item.name}.") if is_dataclass(value) else {prefix + item.name: value}
    return found


def test_laptop_differs_from_paper_in_sizes_and_steps_only() -> None:
    ours, theirs = _leaves(laptop()), _leaves(paper())
    changed = {name for name in ours if ours[name] != theirs[name]}
    allowed = {
        "preset",
        "fusion.image_encoder",
        "fusion.text_encoder",
        "fusion.behaviour_embedding",
        "fusion.behaviour_layers",
        "fusion.behaviour_hidden",
        "fusion.behaviour_heads",
        "fusion.batch",
        "fusion.learning_rate",
        "fusion.epochs",
        "fusion.train_rows",
        "train.episodes",
        "train.ranks",
        "align.iterations",
        "meta.iterations",
        "meta.validate_every",
        "train.pathwise.updates",
        "journeys.most_users",
        "journeys.learning.width",
        "journeys.learning.batch",
        "journeys.learning.rate",
        "journeys.learning.epochs",
        "journeys.learning.patience",
        "creators.walk.episodes",
        "creators.briefs.count",
    }
    assert changed <= allowed, changed - allowed


def test_strict_presets_leave_the_sizes_and_drop_every_addition() -> None:
    for name, base in (("strict", paper()), ("laptop-strict", laptop())):
        ours, theirs = _leaves(config.load(name)), _leaves(base)
        changed = {key for key in ours if ours[key] != theirs[key]}
        additions = {f"train.ddpg.{key}" for key in ("warm_up", "logit_penalty", "twin", "layer_norm")}
        additions |= {"train.ddpg.centred_action", "train.ddpg.reward_scale", "train.ppo.target_kl"}
        assert changed == additions | {
            "preset",
            "decay",
            "meta.learn_rates",
            "online.baseline",
            "online.clip",
            "online.max_kl",
            "align.target",
            "align.gradient_penalty",
            "train.start",
            "train.plan",
            "train.platform_net",
        }


def undocumented(source: str) -> list[str]:
    """Fields of the dataclasses of a file without a docstring of their own, as `Class.field`."""
    found = []
    for node in ast.parse(source).body:
        if not (isinstance(node, ast.ClassDef) and node.decorator_list):
            continue
        for this, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(this, ast.AnnAssign) and isinstance(this.target, ast.Name):
                told = after.value if isinstance(after, ast.Expr) else None
                if not (isinstance(told, ast.Constant) and isinstance(told.value, str) and len(told.value) > 10):
                    found.append(f"{node.name}.{this.target.id}")
    return found


def test_every_field_is_documented() -> None:
    """Also those that look obvious, and sections: `seed` does not say of what."""
    files = sorted(Path(config.__file__).parent.glob("*.py"))
    assert sum(file.read_text().count("\n@dataclass") for file in files) > 15
    assert {file.name: undocumented(file.read_text()) for file in files} == {file.name: [] for file in files}


def test_a_field_without_a_docstring_is_found() -> None:
    head = '@dataclass\nclass A:\n    """All of it."""\n'
    assert undocumented(f"{head}    seed: int = 0\n    rate: float = 1.0\n    'Of Adam, per step.'\n") == ["A.seed"]
    assert undocumented(f"{head}    seed: int = 0\n    'Seed.'\n") == ["A.seed"], "too short to say anything"


def test_round_trip() -> None:
    assert config.from_json(config.to_json(laptop())) == laptop()


def test_overrides_reach_nested_fields() -> None:
    c = config.load("laptop", ["train.ppo.clip=0.3", "data.source=demo"], {"train.seed": 4})
    assert (c.train.ppo.clip, c.train.seed) == (0.3, 4)
    assert c == replace(laptop(), train=replace(laptop().train, seed=4, ppo=replace(laptop().train.ppo, clip=0.3)))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.discont=0.5", "did you mean train.discount"),
        ("trian.discount=0.5", "unknown config key"),
        ("train.discount=2", "train.discount: 2"),
        ("fusion.batch=abc", "'abc'"),
        ("evaluate.market_seeds=1", "greater than or equal to 2"),
        ("data.train_fraction=0.95", "test period"),
        ("limits.minimum=0.9", None),
        ("data.source=criteo", "pass --data FILE"),
        ("fusion.head_dim=65", "must equal"),
        ("train", "write it as a.b=c"),
    ],
)
def test_what_is_wrong_is_named(override: str, said: str | None) -> None:
    if said is None:
        assert config.load("laptop", [override]).limits.minimum == 0.9
        return
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        config.load("laptop", [override])


def test_the_papers_sizes_of_journeys() -> None:
    j = paper().journeys
    assert (j.learning.width, j.learning.batch, j.learning.epochs, j.learning.rate) == (512, 512, 800, 1e-3)
    assert (j.window, j.mtorl.tcn_layers, j.mtorl.norm_layers, j.mtorl.reward_layers) == (20, 2, 2, 3)


def test_another_tasks_bundle_carries_its_own_sections_alone() -> None:
    made = config.load("laptop", ["task=creators", "data.source=demo-creators", "creators.solver.near=9", "window=9"])
    content = config.carried(made)
    assert set(content) == {"preset", "task", "data", "creators"}
    back = config.from_carried(json.dumps(content))
    assert (back.task, back.creators, back.window) == ("creators", made.creators, paper().window)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            ["task=creators"],
            "'demo' is no source of task 'creators'; use .*creators, demo-creators, or task=split",
        ),
        (["data.source=demo-creators"], "'demo-creators' is no source of task 'split'; use one of .*task=creators"),
        (["task=journeys", "data.source=spend", "data.path=x.csv"], "'spend' is no source of task 'journeys'"),
        (["task=creators", "data.source=creators"], "data.path: source 'creators' reads a file; pass --data FILE"),
        (["task=plans"], "task: 'plans' does not fit"),
        (['creators.gates.required=["creators.gaps"]'], "creators.gates.required: no gate is called 'creators.gaps'"),
        (["creators.briefs.least_budget=900"], "creators.briefs.least_budget: 900 is above"),
    ],
)
def test_what_does_not_belong_to_its_task_is_refused_with_a_remedy(overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config.load("laptop", overrides)


def test_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="use one of paper, laptop"):
        config.load("server")


def test_what_a_bundle_carries_is_read_back_without_where_things_lie() -> None:
    log = config.load(
        "laptop", ["data.source=criteo", "data.path=/somewhere/log.csv", "registry.model=mine", "window=9"]
    )
    content = config.carried(log)
    elsewhere = {"registry", "serving", "monitor", "readapt", "alerts", "features", "task", "journeys", "creators"}
    assert set(content) == set(config.CARRIED) == {item.name for item in fields(config.Config)} - elsewhere
    back = config.from_carried(json.dumps(content))
    others = {"journeys": paper().journeys, "creators": paper().creators}
    assert back == replace(log, data=replace(log.data, path=None), registry=config.Registry(), **others)
    # A bundle of before carries everything, its log's place too.
    assert config.from_carried(config.to_json(log)) == replace(log, data=replace(log.data, path=None))
    with pytest.raises(ConfigError, match="windows: unknown config key"):
        config.from_carried(json.dumps(content | {"windows": 1}))
