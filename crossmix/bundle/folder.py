"""A bundle's folder: written by `save`, verified and read by `load`.

Shapes: M platforms, S state, D context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix import config as config_module
from crossmix import constraints
from crossmix.bundle import manifest as manifests
from crossmix.bundle.export import export
from crossmix.bundle.kinds import SPLIT
from crossmix.bundle.manifest import EXTRAS, BundleError
from crossmix.bundle.model import Bundle, Plan
from crossmix.bundle.session import PROBE_TOLERANCE, check_probe, open_session, probe_inputs, tells_belief
from crossmix.response import ResponseTable
from crossmix.state import ALLOCATION, Layout, LayoutError

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[Any]


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
    layout: Layout = ALLOCATION,
    extras: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a bundle into `folder` (created if absent, its old content replaced) and load it back.

    Args:
        policy: its logits(state (B, S)) -> (B, M) is what is exported, with softmax and `constraints.project` behind;
            where it has a `planner`, also what that believes, with campaigns in the order of `plans`.
        limits, plans, contexts: per campaign, the same campaigns in each; contexts are (D,).
        responses: per campaign, the same campaigns; `None`: answers have no explanation.
        data_digest: `Meta.digest` of the log behind it.
        gates: the rows of gates.json; `annotate` may add them later, when the gates needed the bundle first.
        lineage: where it comes from (run, step keys, parent bundle); must not name this machine.
        layout: of the states that the policy reads.
        extras: content of the files beside these that it has, by name, of `EXTRAS`.

    Raises:
        BundleError: an extra has another name, the campaigns or platforms do not match, or the exported policy does not
            answer as `policy` does.
    """
    extras = dict(extras or {})
    for name in extras:
        if name not in EXTRAS:
            raise BundleError(f"{name}: no file of a bundle; those beside its own are {', '.join(EXTRAS)}")
    _check_parts(layout, platforms, limits, plans, contexts)
    planner: Any = getattr(policy, "planner", None)
    if planner is not None and len(planner.budget) != len(plans):
        raise BundleError(
            f"plans.json: {len(plans)} campaigns, the policy's plan has {len(planner.budget)}; give its own"
        )
    manifests.emptied(folder)
    manifests.write(folder / "state_layout.json", {"digest": layout.digest, "layout": layout.as_plain()})
    manifests.write(folder / "platforms.json", list(platforms))
    manifests.write(folder / "limits.json", {name: limits[name].as_dict() for name in plans})
    manifests.write(folder / "plans.json", {name: asdict(plan) for name, plan in plans.items()})
    np.savez(
        folder / "contexts.npz",
        campaign=np.array(list(plans)),
        context=np.stack([np.asarray(contexts[name], np.float32) for name in plans]),
    )
    _save_responses(folder / "responses.npz", {} if responses is None else {name: responses[name] for name in plans})
    for name, content in extras.items():
        (folder / name).write_bytes(content)
    probe = probe_inputs(layout.size, len(platforms))
    np.savez(folder / "probe.npz", **probe)  # type: ignore[arg-type]
    expected_BM = export(policy, folder / "policy.onnx", probe)
    manifests.close(
        folder,
        SPLIT,
        config=config,
        data_digest=data_digest,
        probe={"share": expected_BM.tolist(), "tolerance": PROBE_TOLERANCE},
        extras=extras,
        gates=gates,
        lineage=lineage,
        more={"layout_digest": layout.digest},
    )
    return load(folder)


def annotate(
    folder: Path,
    gates: Sequence[Mapping[str, Any]],
    lineage: Mapping[str, Any] | None = None,
    held: Sequence[Mapping[str, Any]] = (),
    untried: Mapping[str, Sequence[str]] | None = None,
    ever: Mapping[str, Sequence[float]] | None = None,
    ended: Mapping[str, str] | None = None,
    narrowed: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
) -> Bundle:
    """Put gate figures (and more lineage) into a saved bundle's manifest; its digest stays, its seal is renewed.

    Args:
        held: money of the history that no split moves, `crossmix.schema.Held` each.
        untried: platforms where a campaign of the history never spent, by campaign.
        ever: the most that a week of the history spent per cycle, by campaign: on every platform, last on all together,
            currency.
        ended: ISO 8601 date of the last cycle with spend of every campaign that is over.
        narrowed: platforms whose limits nobody set, as what was proved goes so far, by campaign and `min` or `max`.
    """
    further: dict[str, Any] = {}
    if held:
        further["held"] = [dict(one) for one in held]
    if untried:
        further["untried"] = {campaign: list(platforms) for campaign, platforms in untried.items()}
    if ever:
        further["ever"] = {campaign: list(most) for campaign, most in ever.items()}
    if ended:
        further["ended"] = dict(ended)
    if narrowed:
        further["narrowed"] = {name: {side: list(row) for side, row in own.items()} for name, own in narrowed.items()}
    manifests.annotate(folder, gates, lineage, **further)
    return load(folder)


def load(folder: Path) -> Bundle:
    """Read and verify: seal, format, kind, every file's digest, the state's layout, and the answer to the probe.

    Raises:
        BundleError: something is missing, changed, or of another version; names the file and the remedy.
    """
    manifest = manifests.verified(folder, SPLIT)
    layout = _layout(folder / "state_layout.json", manifest["layout_digest"])
    platforms = tuple(manifests.read(folder / "platforms.json"))
    plans = {
        name: Plan(plan["cycle_budget"], plan["currency"], tuple(plan["share"]), plan["cycle_hours"])
        for name, plan in manifests.read(folder / "plans.json").items()
    }
    limits = {name: constraints.Limits.arrays(raw) for name, raw in manifests.read(folder / "limits.json").items()}
    with np.load(folder / "contexts.npz") as archive:
        contexts = {str(name): row for name, row in zip(archive["campaign"], archive["context"], strict=True)}
    _check_parts(layout, platforms, limits, plans, contexts)
    responses = _load_responses(folder / "responses.npz")
    session = open_session(folder / "policy.onnx")
    check_probe(folder, session, manifest["probe"])
    believed = tells_belief(session)
    return Bundle(folder, layout, platforms, limits, plans, contexts, responses, manifest, session, believed)


def watch_of(folder: Path) -> tuple[bytes | None, str]:
    """watch.npz of a bundle, verified, and the bundle's digest; nothing else is read. `None`: it carries none.

    Raises:
        BundleError: as `load`, of the manifest and this file.
    """
    manifest = manifests.read_manifest(folder, SPLIT)
    if "watch.npz" not in manifest["files"]:
        return None, str(manifest["digest"])
    manifests.verify(folder / "watch.npz", manifest["files"]["watch.npz"])
    return (folder / "watch.npz").read_bytes(), str(manifest["digest"])


def manifest_of(folder: Path) -> dict[str, Any]:
    """A bundle's manifest, of any kind, its seal verified; raises `BundleError`."""
    return manifests.read_manifest(folder)


def platforms_of(folder: Path) -> tuple[str, ...]:
    """A bundle's platforms in slot order, verified; raises `BundleError`."""
    manifests.verify(folder / "platforms.json", manifests.read_manifest(folder, SPLIT)["files"].get("platforms.json"))
    return tuple(manifests.read(folder / "platforms.json"))


def _layout(file: Path, digest: object) -> Layout:
    content = manifests.read(file)
    if not isinstance(content, Mapping) or "layout" not in content:
        raise BundleError(f"{file}: it holds no layout; save the bundle again")
    try:
        layout = Layout.from_plain(content["layout"])
    except LayoutError as error:
        raise BundleError(f"{file}: {error}") from None
    if layout.digest != digest:
        raise BundleError(
            f"{file}: layout {layout.label} is {layout.digest[:12]}, the manifest's is {str(digest)[:12]}; "
            "save the bundle again"
        )
    return layout


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
    layout: Layout,
    platforms: Sequence[str],
    limits: Mapping[str, constraints.Limits[Any]],
    plans: Mapping[str, Plan],
    contexts: Mapping[str, Array],
) -> None:
    if not 1 <= len(platforms) <= layout.slots or len(set(platforms)) != len(platforms):
        raise BundleError(f"platforms.json: {list(platforms)}; want 1 to {layout.slots} different names, in slot order")
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
        if np.shape(contexts[name]) != (layout.context_size,):
            raise BundleError(
                f"contexts.npz: {name!r} has shape {np.shape(contexts[name])}; want ({layout.context_size},)"
            )
