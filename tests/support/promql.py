"""PromQL, as much of it as the alert rules use, over texts of /metrics that were scraped at known times.

Selectors with matchers and ranges, `rate`, `increase`, `sum` and `max` with `by`, numbers, `*`, and comparisons between
vectors (labels must be the same, but for those `ignoring` names) or with a number. `increase` is the difference of the
last and the first sample of its range: Prometheus extrapolates to the range's ends, which changes no sign.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_TOKEN = re.compile(r'\s*("[^"]*"|\d+(?:\.\d+)?[smhd]?|[A-Za-z_]\w*|>=|<=|==|!=|=~|!~|[=<>*(){}\[\],])')


@dataclass(frozen=True, slots=True)
class Scrape:
    """A text of /metrics."""

    seconds: float
    text: str

    def samples(self) -> dict[str, Vector]:
        """By name."""
        found: dict[str, Vector] = {}
        for family in text_string_to_metric_families(self.text):
            for one in family.samples:
                found.setdefault(one.name, {})[frozenset(one.labels.items())] = one.value
        return found


def evaluate(expression: str, scrapes: Sequence[Scrape]) -> Vector:
    """What a rule's expression gives at the last scrape: an alert fires for each element. Raises `ValueError`."""
    reader = _Reader(expression, scrapes)
    found = reader.comparison()
    if reader.tokens or isinstance(found, float):
        raise ValueError(f"{expression}: not understood at {reader.tokens[:3]}")
    return found


class _Reader:
    """Recursive descent."""

    def __init__(self, expression: str, scrapes: Sequence[Scrape]) -> None:
        self.tokens, self.at = _tokens(expression), scrapes[-1].seconds
        self.scrapes = [(one.seconds, one.samples()) for one in scrapes]

    def take(self, *expected: str) -> str:
        token = self.tokens.pop(0) if self.tokens else ""
        if expected and token not in expected:
            raise ValueError(f"{token!r} where {' or '.join(expected)} was expected")
        return token

    def next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def comparison(self) -> Vector | float:
        left = self.product()
        if self.next() not in _COMPARE:
            return left
        compare, ignored = _COMPARE[self.take()], frozenset[str]()
        if self.next() == "ignoring":
            self.take()
            ignored = frozenset(self.names())
        right = self.product()
        if isinstance(left, float):
            raise ValueError("a number is compared")
        if isinstance(right, float):
            return {labels: value for labels, value in left.items() if compare(value, right)}
        others = {_without(labels, ignored): value for labels, value in right.items()}
        return {
            labels: value
            for labels, value in left.items()
            if (key := _without(labels, ignored)) in others and compare(value, others[key])
        }

    def product(self) -> Vector | float:
        found = self.term()
        while self.next() == "*":
            self.take()
            other = self.term()
            if isinstance(found, float) and isinstance(other, float):
                found = found * other
            elif isinstance(found, float) != isinstance(other, float):
                vector, number = (other, found) if isinstance(found, float) else (found, other)
                assert isinstance(vector, dict)
                assert isinstance(number, float)
                found = {labels: number * value for labels, value in vector.items()}
            else:
                raise ValueError("two vectors are multiplied")
        return found

    def term(self) -> Vector | float:
        token = self.take()
        if token in ("sum", "max"):
            by = self.names() if self.next() == "by" and self.take() else ()
            self.take("(")
            inner = self.comparison()
            self.take(")")
            assert isinstance(inner, dict)
            return _grouped(inner, by, sum if token == "sum" else max)
        if token in ("rate", "increase"):
            self.take("(")
            name, matches = self.selector(self.take())
            self.take("[")
            span = _seconds(self.take())
            self.take("]"), self.take(")")
            risen = self.risen(name, matches, span)
            return risen if token == "increase" else {labels: value / span for labels, value in risen.items()}
        if token == "(":
            inner = self.comparison()
            self.take(")")
            return inner
        if token[:1].isdigit():
            return float(token)
        name, matches = self.selector(token)
        return {labels: value for labels, value in self.scrapes[-1][1].get(name, {}).items() if matches(labels)}

    def names(self) -> tuple[str, ...]:
        self.take("(")
        found = [self.take()]
        while self.take(",", ")") == ",":
            found.append(self.take())
        return tuple(found)

    def selector(self, name: str) -> tuple[str, Callable[[Labels], bool]]:
        wanted: list[tuple[str, str, str]] = []
        if self.next() == "{":
            self.take()
            while True:
                wanted.append((self.take(), self.take("=", "!=", "=~", "!~"), self.take().strip('"')))
                if self.take(",", "}") == "}":
                    break

        def matches(labels: Labels) -> bool:
            values = dict(labels)
            for label, how, text in wanted:
                value = values.get(label, "")
                same = value == text if how in ("=", "!=") else re.fullmatch(text, value) is not None
                if same == how.startswith("!"):
                    return False
            return True

        return name, matches

    def risen(self, name: str, matches: Callable[[Labels], bool], span: float) -> Vector:
        within = [samples.get(name, {}) for seconds, samples in self.scrapes if seconds >= self.at - span]
        found: Vector = {}
        for labels in {labels for samples in within for labels in samples if matches(labels)}:
            values = [samples[labels] for samples in within if labels in samples]
            if len(values) > 1:
                found[labels] = values[-1] - values[0]
        return found


def _tokens(expression: str) -> list[str]:
    found, at = [], 0
    text = expression.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{expression}: not understood at {text[at : at + 20]!r}")
        found.append(match[1])
        at = match.end()
    return found


def _seconds(duration: str) -> float:
    return float(duration[:-1]) * SECONDS[duration[-1]]


def _without(labels: Labels, names: frozenset[str]) -> Labels:
    return frozenset(pair for pair in labels if pair[0] not in names)


def _grouped(vector: Vector, by: Sequence[str], over: Callable[[Sequence[float]], float]) -> Vector:
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        groups.setdefault(frozenset(pair for pair in labels if pair[0] in by), []).append(value)
    return {labels: float(over(values)) for labels, values in groups.items()}
