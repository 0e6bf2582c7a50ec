"""The policy bundle: one folder that holds all an answer needs; saved once, verified at every load.

Contract: docs/design.md#definitions.

    policy.onnx         state (B, 640), low (B, M), high (B, M), noise (B, M) or absent, float32 -> share (B, M), logits
                        (B, M): share = project(softmax(logits + noise)) within [low, high]
    config.json         the config that trained it
    state_layout.json   `state.layout()` and its digest; a bundle of another layout is refused
    platforms.json      platform names in slot order
    limits.json         campaign -> `Limits.as_dict()`
    plans.json          campaign -> cycle budget, currency, static share, hours of a cycle
    contexts.npz        campaign (C,) names, context (C, 512) float32: the last fused context of each
    responses.npz       what each campaign's platforms earn at each amount (`crossmix.response`): explanations
    probe.npz           inputs whose answer the manifest knows
    manifest.json       format, SHA-256 of each file, digests, gate figures, lineage, the probe's answer

`digest` names what would be served: equal files, data and config give an equal digest, whatever a gate measured.
`seal` covers the entire manifest. Saving needs torch; loading and answering need numpy and ONNX Runtime only.

Shapes: B batch, M platforms.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix import config as config_module
from crossmix import constraints, state
from crossmix.response import ResponseTable

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[Any]

FORMAT = 2
FILES = (
    "policy.onnx",
    "config.json",
    "state_layout.json",
    "platforms.json",
    "limits.json",
    "plans.json",
    "contexts.npz",
    "responses.npz",
    "probe.npz",
)
PROBE_ROWS = 8
PROBE_TOLERANCE = 1e-4
"""Shares; eager and ONNX Runtime differ by 3e-7 on one machine, other CPUs order their sums differently."""


class BundleError(ValueError):
    """A bundle that must not serve; the message names the file, what is wrong with it and the remedy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign's plan: `cycle_budget` in `currency` per cycle of `cycle_hours`, `share` (M,) of the static split."""

    cycle_budget: float
    currency: str
    share: tuple[float, ...]
    cycle_hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle; `load` makes it."""

    path: Path
    platforms: tuple[str, ...]
    limits: Mapping[str, constraints.Limits[Array]]
    plans: Mapping[str, Plan]
    contexts: Mapping[str, Array]
    """Campaign to its last fused context, (512,) float32."""
    responses: Mapping[str, ResponseTable]
    """What each campaign's platforms earn; empty where no market was saved with the policy."""
    manifest: Mapping[str, Any]
    session: Any
    """onnxruntime.InferenceSession; `run` may be called from many threads."""

    @property
    def digest(self) -> str:
        """SHA-256 that names what is served."""
        return str(self.manifest["digest"])

    @property
    def campaigns(self) -> tuple[str, ...]:
        return tuple(self.plans)

    @property
    def config(self) -> config_module.Config:
        """The config that trained the policy; raises `ConfigError` if this version of crossmix cannot read it."""
        return config_module.from_json((self.path / "config.json").read_text())

    def allocate(self, state_BS: Array, low_BM: Array, high_BM: Array) -> Array:
        """Shares (B, M) float32, inside [low, high] and summing to 1: `decide` without noise."""
        return self.decide(state_BS, low_BM, high_BM)[0]

    def decide(
        self, state_BS: Array, low_BM: Array, high_BM: Array, noise_BM: Array | None = None
    ) -> tuple[Array, Array]:
        """Shares (B, M) float32, inside [low, high] and summing to 1, and the policy's logits (B, M) float32.

        Args:
            state_BS: encoded states, (B, 640).
            low_BM, high_BM: the boxes of `constraints.box`, (B, M) or broadcastable to it.
            noise_BM: added to the logits before the softmax (exploration), (B, M) or broadcastable to it.

        Raises:
            ValueError: a shape does not fit, or a number is not finite.
            InfeasibleError: a box leaves no split.
        """
        states = np.ascontiguousarray(state_BS, np.float32)
        if states.ndim != 2 or states.shape[1] != state.SIZE:
            raise ValueError(f"state: shape {states.shape}; want (batch, {state.SIZE})")
        shape = (len(states), len(self.platforms))
        try:
            low, high = _of_shape(low_BM, shape), _of_shape(high_BM, shape)
        except ValueError:
            raise ValueError(
                f"low {np.shape(low_BM)}, high {np.shape(high_BM)}: want {shape}, one bound per platform"
            ) from None
        if not np.isfinite(states).all():
            raise ValueError("state: holds a number that is not finite; encode it with crossmix.state.encode")
        constraints.check(low, high, self.platforms)
        noise = None
        if noise_BM is not None:
            try:
                noise = _of_shape(noise_BM, shape)
            except ValueError:
                raise ValueError(f"noise: {np.shape(noise_BM)}; want {shape}, one number per platform") from None
            if not np.isfinite(noise).all():
                raise ValueError("noise: holds a number that is not finite")
        return _run(self.session, states, low, high, noise)

    def project(self, target_BM: Array, low_BM: Array, high_BM: Array) -> Array:
        """The shares within [low, high] that are nearest to a target split (Euclidean), (B, M) float32.

        By the projection inside the policy: noise that takes the policy's logits to the target's.

        Args:
            target_BM: shares from 0, each row summing to 1.

        Raises:
            As `decide`.
        """
        target_BM = np.asarray(target_BM, np.float32)
        some = np.broadcast_to(np.zeros((1, 1), np.float32), (len(target_BM), state.SIZE))
        _, logits_BM = self.decide(some, low_BM, high_BM)
        return self.decide(some, low_BM, high_BM, np.log(np.maximum(target_BM, 1e-12)) - logits_BM)[0]

    def encode(self, campaign: str, statistics_S: Array, context_D: Array | None = None) -> Array:
        """The state (1, 640) of a campaign: `context_D` (512,), by default its last one, and its 128 statistics."""
        self.check_campaign(campaign)
        statistics = np.asarray(statistics_S, np.float32).reshape(1, -1)
        if statistics.shape[1] != state.STATISTICS:
            raise ValueError(f"statistics: {statistics.shape[1]} numbers; the layout has {state.STATISTICS}")
        context = np.asarray(self.contexts[campaign] if context_D is None else context_D, np.float32).reshape(1, -1)
        return np.concatenate([context, state.clamp(statistics, len(self.platforms))], axis=1)

    def example(self) -> dict[str, Array]:
        """One valid question: the first row of the stored probe."""
        with np.load(self.path / "probe.npz") as probe:
            return {name: probe[name][:1] for name in ("state", "low", "high")}

    def check_campaign(self, campaign: str) -> None:
        """Raise `BundleError` for a campaign that the bundle does not know."""
        if campaign not in self.plans:
            raise BundleError(
                f"campaign: {campaign!r} is not in this bundle; it knows {', '.join(self.campaigns)}. "
                "Name one of them, or train on a log that holds the campaign"
            )


def save(
    folder: Path,
    policy: nn.Module,
    *,
    config: config_module.Config,
    platforms: Sequence[str],
    limits: Mapping[str, constraints.Limits[Tensor] | constraints.Limits[Array]],
    plans: Mapping[str, Plan],
    contexts: Mapping[str, Array],
    responses: Mapping[str, ResponseTable] | None,
    data_digest: str,
    gates: Sequence[Mapping[str, Any]] = (),
    lineage: Mapping[str, Any] | None = None,
) -> Bundle:
    """Write a bundle into `folder` (made if absent, its old content replaced) and load it back.

    Args:
        policy: its logits(state (B, 640)) -> (B, M) is what is exported, with softmax and `constraints.project` behind.
        limits, plans, contexts: per campaign, the same campaigns in each; contexts are (512,).
        responses: per campaign, the same campaigns; `None`: answers have no explanation.
        data_digest: `Meta.digest` of the log behind it.
        gates: the rows of gates.json; `annotate` may add them later, when the gates needed the bundle first.
        lineage: where it comes from (run, step keys, parent bundle); must not name this machine.

    Raises:
        BundleError: the campaigns or platforms do not match, or the exported policy does not answer as `policy` does.
    """
    _check_parts(platforms, limits, plans, contexts)
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "manifest.json").exists():
            raise BundleError(f"{folder}: holds other files; save the bundle into an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    _write(folder / "config.json", json.loads(config_module.to_json(config)))
    _write(folder / "state_layout.json", {"digest": state.layout_digest(), "layout": state.layout()})
    _write(folder / "platforms.json", list(platforms))
    _write(folder / "limits.json", {name: limits[name].as_dict() for name in plans})
    _write(folder / "plans.json", {name: asdict(plan) for name, plan in plans.items()})
    np.savez(
        folder / "contexts.npz",
        campaign=np.array(list(plans)),
        context=np.stack([np.asarray(contexts[name], np.float32) for name in plans]),
    )
    _save_responses(folder / "responses.npz", {} if responses is None else {name: responses[name] for name in plans})
    probe = _probe(len(platforms))
    np.savez(folder / "probe.npz", **probe)  # type: ignore[arg-type]
    expected_BM = _export(policy, folder / "policy.onnx", probe)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "files": {name: _sha256(folder / name) for name in FILES},
        "layout_digest": state.layout_digest(),
        "data_digest": data_digest,
        "config_digest": config_module.digest(config),
        "probe": {"share": expected_BM.tolist(), "tolerance": PROBE_TOLERANCE},
        "gates": [dict(gate) for gate in gates],
        "lineage": dict(lineage or {}),
    }
    manifest["digest"] = _identity(manifest)
    _seal(folder, manifest)
    return load(folder)


def annotate(folder: Path, gates: Sequence[Mapping[str, Any]], lineage: Mapping[str, Any] | None = None) -> Bundle:
    """Put gate figures (and more lineage) into a saved bundle's manifest; its digest stays, its seal is renewed."""
    manifest = _read_manifest(folder)
    manifest["gates"] = [dict(gate) for gate in gates]
    manifest["lineage"] = {**manifest["lineage"], **(lineage or {})}
    _seal(folder, manifest)
    return load(folder)


def load(folder: Path) -> Bundle:
    """Read and verify: seal, format, every file's digest, the state's layout, and the policy's answer to the probe.

    Raises:
        BundleError: something is missing, changed, or of another version; names the file and the remedy.
    """
    manifest = _read_manifest(folder)
    for name in FILES:
        _verify(folder / name, manifest["files"].get(name))
    if manifest["layout_digest"] != state.layout_digest():
        raise BundleError(
            f"{folder / 'state_layout.json'}: layout {str(manifest['layout_digest'])[:12]} is not this version's "
            f"{state.layout_digest()[:12]}; serve it with the crossmix that trained it, or train again"
        )
    platforms = tuple(_read(folder / "platforms.json"))
    plans = {
        name: Plan(plan["cycle_budget"], plan["currency"], tuple(plan["share"]), plan["cycle_hours"])
        for name, plan in _read(folder / "plans.json").items()
    }
    limits = {name: constraints.Limits.arrays(raw) for name, raw in _read(folder / "limits.json").items()}
    with np.load(folder / "contexts.npz") as archive:
        contexts = {str(name): row for name, row in zip(archive["campaign"], archive["context"], strict=True)}
    _check_parts(platforms, limits, plans, contexts)
    responses = _load_responses(folder / "responses.npz")
    session = _session(folder / "policy.onnx")
    _answer_probe(folder, session, manifest["probe"])
    return Bundle(folder, platforms, limits, plans, contexts, responses, manifest, session)


def _save_responses(file: Path, tables: Mapping[str, ResponseTable]) -> None:
    np.savez(
        file,
        campaign=np.array(list(tables), dtype=str),
        amount=np.array([table.amount_K for table in tables.values()]),
        value=np.array([table.value_QPK for table in tables.values()]),
    )


def _load_responses(file: Path) -> dict[str, ResponseTable]:
    with np.load(file) as archive:
        rows = zip(archive["campaign"], archive["amount"], archive["value"], strict=True)
        return {str(name): ResponseTable(amount_K, value_QPK) for name, amount_K, value_QPK in rows}


def _check_parts(
    platforms: Sequence[str],
    limits: Mapping[str, constraints.Limits[Any]],
    plans: Mapping[str, Plan],
    contexts: Mapping[str, Array],
) -> None:
    if not 1 <= len(platforms) <= state.SLOTS or len(set(platforms)) != len(platforms):
        raise BundleError(f"platforms.json: {list(platforms)}; want 1 to {state.SLOTS} different names, in slot order")
    if not plans:
        raise BundleError("plans.json: no campaign; give at least one")
    for name, plan in plans.items():
        if name not in limits or name not in contexts:
            missing = "limits.json" if name not in limits else "contexts.npz"
            raise BundleError(f"{missing}: campaign {name!r} of plans.json is missing; give every campaign all three")
        width = {len(plan.share), len(limits[name].minimum_P), len(limits[name].maximum_P), len(platforms)}
        if len(width) > 1:
            raise BundleError(
                f"plans.json, limits.json: campaign {name!r} has {sorted(width)} entries; want one per platform"
            )
        if not plan.cycle_budget > 0:
            raise BundleError(f"plans.json: cycle_budget {plan.cycle_budget} of {name!r}; give an amount above 0")
        if np.shape(contexts[name]) != (state.CONTEXT,):
            raise BundleError(f"contexts.npz: {name!r} has shape {np.shape(contexts[name])}; want ({state.CONTEXT},)")


def _export(policy: nn.Module, file: Path, probe: Mapping[str, Array]) -> Array:
    """Export and return the eager answer to the probe, having checked that ONNX Runtime gives the same.

    The TorchScript exporter, not the newer one: it writes the same bytes each time and no source path of the machine
    (measured on torch 2.13; equal answers and latency).
    """
    import warnings

    import torch

    class Served(torch.nn.Module):
        """Logits, noise, softmax, projection."""

        def __init__(self) -> None:
            super().__init__()
            self.policy = policy

        def forward(self, state: Tensor, low: Tensor, high: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            logits: Tensor = self.policy.logits(state)  # type: ignore[operator]
            return constraints.project(torch.softmax(logits + noise, 1), low, high), logits

    device = next((parameter.device for parameter in policy.parameters()), torch.device("cpu"))
    names = ("state", "low", "high", "noise")
    inputs = tuple(torch.tensor(probe[name], device=device) for name in names)
    was_training = policy.training
    served = Served().eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing remarks and the exporter's deprecation, told above
            expected_BM: Array = served(*inputs)[0].cpu().numpy()
            torch.onnx.export(
                served,
                inputs,
                str(file),
                dynamo=False,
                opset_version=17,
                input_names=list(names),
                output_names=["share", "logits"],
                dynamic_axes={name: {0: "batch"} for name in (*names[:3], "share", "logits")} | {"noise": {0: "draws"}},
            )
    finally:
        policy.train(was_training)
    _make_optional(file, "noise", np.zeros((1, probe["noise"].shape[1]), np.float32))
    session = _session(file)
    for rows in (slice(None), slice(0, 1)):
        got_BM, _ = _run(session, *(probe[name][rows] for name in names))
        off = float(np.abs(got_BM - expected_BM[rows]).max())
        if not off <= 1e-5:
            raise BundleError(f"{file}: the export answers {off:.2g} off the policy; make logits() traceable")
    return expected_BM


def _make_optional(file: Path, name: str, value: Array) -> None:
    """Give an input of an exported graph a value for when it is absent (an initializer of the same name)."""
    import onnx

    model = onnx.load(file)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, file)


def _probe(platforms: int) -> dict[str, Array]:
    """Fixed inputs: waves for states and noise, boxes from free to nearly frozen."""
    wave = np.sin(0.1 + 0.37 * np.arange(PROBE_ROWS * state.SIZE)).reshape(PROBE_ROWS, state.SIZE)
    centre = 1.5 + np.cos(np.arange(PROBE_ROWS * platforms)).reshape(PROBE_ROWS, platforms)
    centre /= centre.sum(1, keepdims=True)
    radius = np.array([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.001, 0.0])[:, None]
    low, high = np.clip(centre - radius, 0, 1), np.clip(centre + radius, 0, 1)
    noise = 0.3 * np.sin(np.arange(PROBE_ROWS * platforms)).reshape(PROBE_ROWS, platforms)
    made = {"state": wave, "low": low, "high": high, "noise": noise}
    return {name: np.asarray(values, np.float32) for name, values in made.items()}


def _answer_probe(folder: Path, session: Any, expected: Mapping[str, Any]) -> None:
    with np.load(folder / "probe.npz") as probe:
        got_BM, _ = _run(session, *(probe[name] for name in ("state", "low", "high", "noise")))
    want_BM = np.asarray(expected["share"], np.float32)
    off = float(np.abs(got_BM - want_BM).max()) if got_BM.shape == want_BM.shape else np.inf
    if not off <= float(expected["tolerance"]):
        raise BundleError(
            f"{folder / 'policy.onnx'}: answers the stored probe {off:.2g} off (allowed {expected['tolerance']:g}); "
            "this onnxruntime does not run the policy as it was saved: install the version in constraints.txt"
        )


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # 0.1 ms of work: threads only add waiting
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise BundleError(f"{file}: onnxruntime cannot read it ({error}); fetch the bundle again") from error


def _of_shape(values: Array, shape: tuple[int, ...]) -> Array:
    """As contiguous float32, broadcast where its shape is another; raises `ValueError`."""
    made = np.ascontiguousarray(values, np.float32)
    return made if made.shape == shape else np.ascontiguousarray(np.broadcast_to(made, shape))


def _run(session: Any, states: Array, low: Array, high: Array, noise: Array | None = None) -> tuple[Array, Array]:
    given = {"state": states, "low": low, "high": high} | ({} if noise is None else {"noise": noise})
    share, logits = session.run(["share", "logits"], given)
    return share, logits


def _identity(manifest: Mapping[str, Any]) -> str:
    """Digest of what is served: the files, the data and config behind them, the format."""
    return config_module.digest({key: manifest[key] for key in ("format", "files", "data_digest", "config_digest")})


def _seal(folder: Path, manifest: dict[str, Any]) -> None:
    content = {key: value for key, value in manifest.items() if key != "seal"}
    _write(folder / "manifest.json", {**content, "seal": config_module.digest(content)})


def _read_manifest(folder: Path) -> dict[str, Any]:
    file = folder / "manifest.json"
    manifest = _read(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise BundleError(f"{file}: format {found!r}, this version reads {FORMAT}; save the bundle again with it")
    content = {key: value for key, value in manifest.items() if key != "seal"}
    if manifest.get("seal") != config_module.digest(content) or manifest["digest"] != _identity(manifest):
        raise BundleError(f"{file}: changed since it was saved; fetch the bundle again")
    return manifest


def _verify(file: Path, expected: str | None) -> None:
    if expected is None:
        raise BundleError(f"{file}: the manifest does not list it; save the bundle again")
    if not file.is_file():
        raise BundleError(f"{file}: missing; fetch the bundle again")
    found = _sha256(file)
    if found != expected:
        raise BundleError(f"{file}: SHA-256 {found[:12]} is not the manifest's {expected[:12]}; fetch the bundle again")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise BundleError(f"{file}: missing; fetch the bundle again") from None
    except ValueError as error:
        raise BundleError(f"{file}: not JSON ({error}); fetch the bundle again") from None
