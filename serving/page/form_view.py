"""How the desk's forms look: fields with their sentences, and what a form changes before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossmix.ledger.campaigns import Campaign
from crossmix.pages.render import render as page
from serving.page import forms
from serving.page.differences import differences, text_of

ROOT = ".."
"""Of links: forms are one level below the page, whatever the server's own path is."""
TEMPLATE, REFUSAL = (Path(__file__).with_name(name) for name in ("form.html.j2", "refusal.html.j2"))
TITLES = {
    "new": "New campaign",
    "edit": "Edit {}",
    "pause": "Pause {}?",
    "resume": "Resume {}?",
    "kill": "Kill switch for {}?",
    "split": "Serve {} a given split",
    "lift": "Lift the override of {}?",
    "confirm": "Believe the held reports of {}?",
    "discard": "Discard the held reports of {}?",
}
MEANING = {
    "new": "It begins at its time, split by the policy and by its static split, as the experiment shares the users.",
    "edit": "Only fields that you change are changed. Budgets hold from now on: past cycles keep theirs.",
    "pause": "Both arms answer 0 from now on; nothing is spent until it is resumed.",
    "resume": "Both arms are given their budgets again, from now on.",
    "kill": "Both arms serve the campaign’s static split from now on, until somebody lifts it. The policy’s splits, "
    "and steps and freezes, do not hold meanwhile.",
    "split": "Both arms serve this split from now on, until somebody lifts it.",
    "lift": "The policy arm is split by the policy again, the control arm by the static split.",
    "confirm": "What the page showed as held is believed from now on, and what comes like it; the statistics are made "
    "anew. Of single platforms, arms and cycles: crossmix guard confirm.",
    "discard": "What the page showed as held stays unknown for good; events and totals stay as they came. Of single "
    "platforms, arms and cycles: crossmix guard discard.",
}
DO = {
    "new": "Create it",
    "edit": "Change it",
    "pause": "Pause it",
    "resume": "Resume it",
    "kill": "Pull the kill switch",
    "split": "Serve this split",
    "lift": "Lift it",
    "confirm": "Believe them",
    "discard": "Discard them",
}
SHORT = ("pause", "resume", "kill", "lift", "confirm", "discard")
"""Forms that only ask for a reason: being shown is their check."""
FIELDS = (
    ("campaign_id", "Name", "1 to 200 characters; it cannot be changed later", "text"),
    ("currency", "Currency", "three capital letters, as EUR", "text"),
    ("cycle_budget", "Budget per cycle", "of both arms together, in its currency", "decimal"),
    ("starts", "Begins", "day and time in its time zone, as 2026-01-31T00:00", "text"),
    ("cycles", "Cycles", "how many are planned", "numeric"),
    ("cycle_hours", "Hours of a cycle", "24: calendar days of the time zone", "decimal"),
    ("timezone", "Time zone", "as Europe/Berlin; empty: cycles of a fixed length", "text"),
)
"""Name, label, hint, keyboard."""


def render(
    action: str,
    one: Campaign | None,
    platforms: Sequence[str],
    values: Mapping[str, str],
    *,
    token: str,
    sentence: str | None = None,
    review: list[tuple[str, str, str]] | None = None,
) -> str:
    """The form; with `review` what it changes, to be confirmed; with `sentence` why it was refused."""
    names = [f"share.{name}" for name in platforms]
    names += [f"limits.{name}.{bound}" for name in platforms for bound in (*forms.BOUNDS, "freeze")]
    fields = [row for row in FIELDS if action == "new" or row[0] != "campaign_id"] if action in ("new", "edit") else []
    field = None if sentence is None else forms.field_of(sentence, names)
    if field not in _shown(action, [row[0] for row in fields], names):
        field = None
    hidden = {key: value for key, value in values.items() if key not in ("token", "step", "campaign")}
    if review is None:
        hidden = {key: value for key, value in hidden.items() if key == "was"}
    return page(
        TEMPLATE,
        sections=(),
        action=action,
        title=TITLES[action].format("" if one is None else one.campaign_id),
        meaning=MEANING[action],
        do=DO[action],
        one=one,
        platforms=platforms,
        bounds=forms.BOUNDS,
        values=values,
        fields=fields,
        field=field,
        sentence=sentence,
        review=None if action in SHORT else review,
        hidden=hidden,
        short=action in SHORT,
        danger=action in ("kill", "pause", "discard"),
        token=token,
        root=ROOT,
    )


def _shown(action: str, plain: Sequence[str], of_platforms: Sequence[str]) -> set[str]:
    """The fields that a form has and that a refusal can stand beside; one of another is said above the form."""
    shown = {"reason", *plain}
    if action in ("new", "edit", "split"):
        shown |= {"share", "limits", *of_platforms}
    if action == "split":
        shown = {name for name in shown if name.partition(".")[0] != "limits"}
    return shown


def refusal(sentence: str) -> str:
    """A page that only says why."""
    return page(REFUSAL, sections=(), sentence=sentence, root=ROOT)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Field, from what, to what, of all that a form changes."""
    return [(key, text_of(old), text_of(new)) for key, old, new in differences(before, after)]
