"""What a policy has to beat: splits that any advertiser could run, none of them clairvoyant (§3.1).

Contract: docs/design.md#learning. Each file registers what it adds with `registry.BASELINES`.
"""
