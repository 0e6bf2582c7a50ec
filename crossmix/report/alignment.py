"""Alignment with the log: the paper's Fig. 3b, and what alignment moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.artifacts import Alignment
from crossmix.pages.format import decimal
from crossmix.report.charts import series
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

LOSSES = {
    "discriminator_loss": "discriminator loss",
    "generator_loss": "generator loss (eq. 5)",
    "accuracy_held_out": "discriminator's accuracy on held-out transitions",
}
QUANTITIES = {"level": "price", "ctr": "click rate", "cvr": "conversion rate"}
"""What a parameter of the market is called in a sentence."""


def losses(alignment: Alignment) -> Markup | None:
    """Adversarial losses by update."""
    every = alignment.every or 1
    curves = {heading: getattr(alignment, key) for key, heading in LOSSES.items()}
    rows = [
        (heading, [every * (index + 1) for index in range(len(curve))], curve)
        for heading, curve in curves.items()
        if curve
    ]
    return series(rows, "update", "adversarial losses") if rows else None


def moved(alignment: Alignment) -> list[tuple[str, str, str]]:
    """(platform, quantity, factor) of every parameter that alignment changed."""
    return [
        (platform, QUANTITIES.get(quantity, quantity), decimal(factor, 2))
        for platform, factors in (alignment.multipliers or {}).items()
        for quantity, factor in factors.items()
        if factor != 1
    ]


def _body(inputs: ReportInputs) -> Markup | None:
    alignment = inputs.align
    if alignment is None or alignment.target == "off":
        return None
    if alignment.too_few is not None:
        return absent(
            f"The log has {alignment.too_few} transitions, of the {alignment.enough} that alignment asks for: nothing "
            "was moved."
        )
    return markup(
        "alignment.html.j2",
        target=alignment.target,
        moved=moved(alignment),
        before=decimal(alignment.validation_trained, 4),
        after=decimal(alignment.validation_aligned, 4),
        kept=alignment.kept,
        losses=losses(alignment),
    )


ALIGNMENT = SECTIONS.register(
    Section(name="alignment", order=44, title="Alignment with the log", link="Alignment", body=_body)
)
