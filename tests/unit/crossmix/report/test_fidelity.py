"""The comparison with the log: what lies beyond a bound is bold, undefined is a dash."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from crossmix.artifacts import Evaluation
from crossmix.report.fidelity import compared, deviations


def test_the_comparison_with_the_log_marks_what_is_beyond_its_bounds(evaluation: Evaluation) -> None:
    plain = evaluation.plain()
    plain["fidelity"]["deviations"]["b"]["roi"]["value"] = -0.07
    plain["fidelity"]["divergences"]["a"]["price"]["value"] = 0.11
    plain["fidelity"]["two_sample"]["b"].update(auc=None, low=None, high=None)
    changed = Evaluation.of(plain)
    table = compared(changed.fidelity, changed.bounds, "")
    assert [row[0].text for row in table.rows] == ["all", "a", "b"]
    assert sum(width for _, width in table.groups) == len(table.head) - 1
    bold = [(row[0].text, head) for row in table.rows for head, cell in zip(table.head[1:], row[1:], strict=True)
            if "sum" in cell.kind]  # fmt: skip
    assert bold == [("a", "price"), ("b", "ROI")]
    assert table.rows[2][-1].text == "–"
    shift = compared(changed.shift, None, "")
    assert not any("sum" in cell.kind for row in shift.rows for cell in row[1:])


def test_headings_are_the_metrics_labels(evaluation: Evaluation) -> None:
    head = compared(evaluation.fidelity, evaluation.bounds, "").head
    assert head[1:5] == ("CTR", "CVR", "ROI", "Spend")
    assert {"CTR step", "spend step", "price"} <= set(head)


def test_a_panel_per_metric_with_one_row_each_and_what_is_unknown_left_out(evaluation: Evaluation) -> None:
    rows = evaluation.fidelity.deviations
    root = ElementTree.fromstring(deviations(rows, 0.05))
    titles = [text.text for text in root.iter("text")]
    assert {"CTR", "CVR", "ROI", "Spend", "all", "a", "b"} <= set(titles)
    assert len(list(root.iter("circle"))) == 4 * len(rows)
    first = next(iter(rows))
    gone = rows | {first: {key: replace(one, value=None, low=None, high=None) for key, one in rows[first].items()}}
    assert len(list(ElementTree.fromstring(deviations(gone, 0.05)).iter("circle"))) == 4 * (len(rows) - 1)


def test_labels_of_a_narrow_band_do_not_lie_on_each_other(evaluation: Evaluation) -> None:
    plain = evaluation.plain()["fidelity"]["deviations"]
    wide = {group: {key: one | {"low": -0.9, "high": 0.9} for key, one in row.items()} for group, row in plain.items()}
    changed = Evaluation.of(evaluation.plain() | {"fidelity": evaluation.plain()["fidelity"] | {"deviations": wide}})
    texts = [text.text for text in ElementTree.fromstring(deviations(changed.fidelity.deviations, 0.05)).iter("text")]
    assert texts.count("±5\u202f%") == 4
    assert "−5\u202f%" not in texts
