"""The policy bundle: one folder that holds all an answer needs; saved once, verified at every load.

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
    manifest.json       format, SHA-256 of each file, digests, gate figures, lineage, the probe's answer

`digest` names what would be served: equal files, data and config give an equal digest, whatever a gate measured.
`seal` covers the entire manifest. Saving needs torch; loading and answering need numpy and ONNX Runtime only.

Shapes: B batch, M platforms, S state, D context, Q what is believed of a platform.
"""

from crossmix.bundle.folder import annotate, load, manifest_of, platforms_of, save, watch_of
from crossmix.bundle.manifest import FILES, FORMAT, BundleError
from crossmix.bundle.model import Bundle, Decision, Plan

__all__ = [
    "FILES",
    "FORMAT",
    "Bundle",
    "BundleError",
    "Decision",
    "Plan",
    "annotate",
    "load",
    "manifest_of",
    "platforms_of",
    "save",
    "watch_of",
]
