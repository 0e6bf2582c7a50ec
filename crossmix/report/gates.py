"""The gates: the required ones, and the others with a count of their verdicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from crossmix.pages.table import gate_table
from crossmix.report.section import SECTIONS, TASKS, Section, absent, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs


def _body(inputs: ReportInputs) -> Markup:
    if inputs.gates is None:
        return absent("No gate was judged.")
    required = [gate for gate in inputs.gates.gates if gate.required]
    others = [gate for gate in inputs.gates.gates if not gate.required]
    counts = Counter(gate.verdict for gate in others)
    return markup(
        "gates.html.j2",
        required=gate_table(asdict(gate) for gate in required),
        others=gate_table(asdict(gate) for gate in others),
        counts=", ".join(f"{number} {verdict}" for verdict, number in counts.items()),
    )


GATES = SECTIONS.register(Section(name="gates", order=90, title="The gates", link="Gates", body=_body, tasks=TASKS))
