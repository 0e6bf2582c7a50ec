"""Kinds of bundles beside the split: each a KServe model on the same base, which follows its own champion.

`answering` is what a kind plugs in, `known` which kinds there are, `champion` which bundle of a kind serves, `model`
the KServe model; `creators` answers briefs. `alone` is the server of a run or registry without a split.
"""
