"""Bundles: one folder that holds all an answer needs; saved once, verified at every load.

Every kind (`kinds.py`) has a config.json, a probe and a manifest.json: format, kind, SHA-256 of each file, digests,
gate figures, lineage, the probe's answer. Bundles of before name no kind and are splits; whoever loads a kind that it
does not serve refuses it by name. A bundle of the split:

Contract: docs/design.md#definitions.

    policy.onnx         state (B, S), low (B, M), high (B, M), noise (B, M) or absent, float32 -> share (B, M), logits
                        (B, M): share = project(softmax(logits + noise)) within [low, high]; of a policy that starts
                        from a plan also base (B, M), belief (B, Q, M), campaign (B,): `response.Belief`
    config.json         the config that trained it (`config.carried`)
    state_layout.json   the state's `Layout` as plain data and its digest; one of a kind or version that this code
                        does not build is refused
    platforms.json      platform names in slot order
    limits.json         campaign -> `Limits.as_dict()`
    plans.json          campaign -> cycle budget, currency, static share, hours of a cycle
    contexts.npz        campaign (C,) names, context (C, D) float32: the last fused context of each
    responses.npz       what each campaign's platforms earn at each amount (`crossmix.response`): explanations
    watch.npz           what its monitor holds feedback against, and thresholds; absent where none were found
    probe.npz           inputs whose answer the manifest knows
    usual.npz           what the market that it was planned in holds for usual (`crossmix.market.usual_file`): which
                        reports to believe; bundles of before, and those saved without a market, have none
    manifest.json       as of every kind, and the layout's digest

`digest` names what would be served: equal files, data and config give an equal digest, whatever a gate measured.
`seal` covers the entire manifest. Saving needs torch; loading and answering need numpy and ONNX Runtime only.

Shapes: B batch, M platforms, S state, D context, Q what is believed of a platform.
"""

from crossmix.bundle.folder import annotate, load, manifest_of, platforms_of, save, watch_of
from crossmix.bundle.kinds import CREATORS, JOURNEY, KIND_OF_TASK, KINDS, SPLIT, Kind
from crossmix.bundle.manifest import (
    EXTRAS,
    FILES,
    FORMAT,
    BundleError,
    check_answer,
    close,
    emptied,
    kind_name,
    verified,
)
from crossmix.bundle.model import Bundle, Decision, Plan

__all__ = [
    "CREATORS",
    "EXTRAS",
    "FILES",
    "FORMAT",
    "JOURNEY",
    "KINDS",
    "KIND_OF_TASK",
    "SPLIT",
    "Bundle",
    "BundleError",
    "Decision",
    "Kind",
    "Plan",
    "annotate",
    "check_answer",
    "close",
    "emptied",
    "kind_name",
    "load",
    "manifest_of",
    "platforms_of",
    "save",
    "verified",
    "watch_of",
]
