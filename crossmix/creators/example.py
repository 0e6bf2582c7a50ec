"""A first brief and a first catalogue, for whoever begins."""

from __future__ import annotations

import json
from pathlib import Path

from crossmix import files
from crossmix.creators import catalogue as catalogues
from crossmix.creators.brief import BriefError
from crossmix.creators.generated import demo

CREATORS = 2_000
BRIEF = """\
# A brief: what `crossmix plan` makes a matrix of channel x phase x tier for. Everything below may be changed.
name: spring lipstick
budget: 100000              # most that may be spent; currency
currency: EUR               # of budget and prices
category: beauty            # creators of this category alone; leave it out for all

channels: [instagram, tiktok, youtube]   # as the catalogue names them
phases: [teaser, launch]                 # in the order of time
tiers: {head: 500000, mid: 50000, tail: 0}   # least followers, from the largest tier down

# What a plan must keep. Shares are of what is spent, or `of: budget`.
rules:
  - {kind: order, of: tier, names: [head, mid, tail]}        # spend falls from head to tail
  - {kind: share, phase: launch, least: 0.4, most: 0.7}      # a band of a phase
  - {kind: share, channel: youtube, most: 0.5}               # a cap of a channel
  - {kind: share, tier: tail, least: 0.05}                   # a floor of a tier

# must_have: [c000017]      # creators that every plan has
# forbidden: [c000003]      # creators that no plan has
# audience: {tiktok: 400000}  # effect that a cell of the channel saturates towards, where you know it
"""


def write(folder: Path) -> tuple[Path, Path, Path]:
    """brief.yaml, catalogue.csv (generated, and labelled so) and question.json in a folder, made if absent.

    question.json is the brief as a server is asked it by V1.

    Raises:
        BriefError: one of the files is there already, or the folder cannot be written.
    """
    brief, catalogue, question = folder / "brief.yaml", folder / "catalogue.csv", folder / "question.json"
    for path in (brief, catalogue, question):
        if path.exists():
            raise BriefError(f"--example {folder}: {path} is there already; name another folder")
    import yaml

    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write(brief, BRIEF)
        catalogues.write(demo(CREATORS).catalogue, catalogue)
        files.write(question, json.dumps({"instances": [{"brief": yaml.safe_load(BRIEF)}]}, indent=1) + "\n")
    except OSError as error:
        raise BriefError(f"--example {folder}: cannot be written ({error.strerror}); name another folder") from None
    return brief, catalogue, question
