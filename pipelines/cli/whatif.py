"""The answers of `crossmix whatif`: the market of a finished run asked, and what it says, for a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crossmix.config import ConfigError
from pipelines.cli import standing
from pipelines.cli.amounts import amount
from pipelines.cli.beside import check_campaign, held
from pipelines.cli.cells import padded, width
from pipelines.cli.recommend import change
from pipelines.cli.tasks import check_task
from pipelines.local import step_folder

if TYPE_CHECKING:
    from crossmix.market.model import Market
    from crossmix.whatif import BudgetAnswer, Estimate, LimitPrice, TargetAnswer, WhatIf

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def ask(
    out: Path,
    campaign: str | None = None,
    *,
    budgets: Sequence[str] = (),
    target_cpa: float | None = None,
    target_roas: float | None = None,
    weekday: str | None = None,
    present: bool = False,
    shares: Sequence[str] = (),
    limits: Sequence[str] = (),
    freeze: Sequence[str] = (),
) -> WhatIf:
    """Ask the fitted market of a run.

    Args:
        out: folder of a finished run.
        campaign: may be absent where the market knows one only.
        budgets: amounts per cycle in currency, or percentages against today's, as +30%.
        target_cpa: currency per conversion; `target_roas`: revenue over spend.
        weekday: monday to sunday, or 0 to 6; an average one if absent.
        present: with the drift of the last week fitted on.
        shares: today's split as `platform:share`, every platform; the plan's if absent.
        limits: `platform:min:max` each, shares of the cycle budget; an empty part leaves the market's.
        freeze: platforms whose share stays as it is today.

    Raises:
        ConfigError, InfeasibleError: what cannot be used; names field, value and remedy.
    """
    from crossmix import whatif

    day = _weekday(weekday)
    typed = [(text, amount(text)) for text in budgets]
    market = _market(out)
    check_campaign(out, campaign)
    scene = whatif.make_scene(
        market,
        campaign,
        weekday=day,
        present=present,
        change=change(limits, freeze),
        today=_shares(shares) if shares else None,
    )
    amounts = [(text, number * scene.budget if relative else number) for text, (number, relative) in typed]
    targets = [(kind, value) for kind, value in (("cpa", target_cpa), ("roas", target_roas)) if value is not None]
    return whatif.ask(
        scene,
        amounts,
        targets,
        standing=standing.of_run(out, scene.campaign),
        held=held(out),
        alone=len(market.campaigns) == 1,
    )


def _market(out: Path) -> Market:
    from crossmix.market import model

    try:
        check_task(out, "split", "crossmix whatif")
        return model.load_served(step_folder(out, "market"))
    except ConfigError:
        raise
    except (KeyError, OSError):
        raise ConfigError(f"{out}: holds no finished market step; run `crossmix run --out {out}` again") from None
    except ValueError as error:  # not JSON, or another version of the format
        raise ConfigError(f"{out}: its market cannot be read ({error}); run `crossmix run` again") from None


def _weekday(text: str | None) -> int | None:
    if text is None:
        return None
    matching = [day for day, name in enumerate(DAYS) if text.lower() in (name, name[:3], str(day))]
    if not matching:
        raise ConfigError(f"--weekday {text!r}: is no weekday; give monday to sunday, or 0 (Monday) to 6 (Sunday)")
    return matching[0]


def _shares(texts: Sequence[str]) -> dict[str, float]:
    shares = dict[str, float]()
    for text in texts:
        try:
            platform, share = text.rsplit(":", 1)
            shares[platform] = float(share)
        except ValueError:
            raise ConfigError(f"--share {text!r}: write it as platform:share, as search:0.25") from None
    return shares


def as_json(answer: WhatIf, beside: Sequence[str] = ()) -> str:
    """The whole answer as JSON, and what stands beside it."""
    return json.dumps(answer.as_dict() | {"beside": list(beside)}, indent=2, allow_nan=False)


def table(answer: WhatIf, page: Path | None = None) -> str:
    """The answer for a terminal."""
    generated = "; GENERATED DATA" if answer.generated else ""
    trusted = [] if answer.standing is None else [*answer.standing.lines(), ""]
    lines = [
        *trusted,
        f"{answer.campaign}, {answer.moment}{generated}",
        f"money in {answer.currency} per cycle of {answer.cycle_hours} hours; brackets: 95 % interval (fitting error)",
        "",
        *_budgets(answer),
    ]
    asked = list(answer.budgets[3:]) or [answer.budgets[0]]
    for one in asked:
        lines += ["", *_split(answer, one)]
    for target in answer.targets:
        lines += ["", *_target(answer, target)]
    lines += ["", *(f"note: {note}" for note in answer.notes)]
    return "\n".join([*lines, *([f"page {page}"] if page else [])])


def _budgets(answer: WhatIf) -> list[str]:
    rows = [
        (
            "budget",
            "",
            "revenue, today's split" if answer.kept else "revenue, best split",
            *([] if answer.kept else ["against today's split"]),
            "conversions",
            "CPA",
            "ROAS",
            "utilisation",
            "best split earns more, by the fit alone" if answer.kept else "next unit earns",
        )
    ]
    for one in sorted(answer.budgets, key=lambda item: item.best.budget):
        gain, told = _interval(one.gain, 0, sign=True), one.today if answer.kept else one.best
        rows.append(
            (
                f"{one.best.budget:,.0f}",
                one.label,
                _interval(told.revenue, 0),
                *([] if answer.kept else [gain]),
                _interval(told.conversions, 0),
                _number(told.cpa.value, 2),
                _number(told.roas.value, 2),
                _part(told.utilisation.value),
                gain if answer.kept else _interval(one.next_unit, 2),
            )
        )
    return _grid(rows, left={1})


def _kept(answer: WhatIf, one: BudgetAnswer) -> list[str]:
    """Today's split of a budget, which is recommended, beside the best one by the fit alone."""
    rows = [("platform", "today", "amount", "revenue", "CPA", "ROAS", "utilisation", "marginal ROI", "fit alone")]
    pairs = zip(one.today.platforms, one.best.platforms, strict=True)
    for now, best in sorted(pairs, key=lambda pair: -pair[0].share.value):
        rows.append(
            (
                now.platform,
                f"{now.share.value:.1%}",
                f"{now.amount.value:,.0f}",
                _interval(now.revenue, 0),
                _number(now.cpa.value, 2),
                _number(now.roas.value, 2),
                _part(now.utilisation.value),
                "never tried" if now.platform in answer.untried else _interval(now.marginal_roi, 2),
                f"{best.share.value:.1%} [{100 * best.share.low:.1f}, {100 * best.share.high:.1f}]",
            )
        )
    rows += [
        (name, what or "-", f"{amount:,.0f}", "-", "-", "-", "-", "-", "-")
        for name, what, amount in _fixed(answer, one)
    ]
    low, high = one.today.cycle_revenue
    return [
        f"keep today's split of {one.today.budget:,.0f} ({one.label})",
        "",
        *_grid(rows, left={0}),
        "",
        f"revenue {_interval(one.today.revenue, 0)}; a single cycle may bring {low:,.0f} to {high:,.0f}",
        f"not recommended: the best split by the fit alone should earn {_interval(one.gain, 0, sign=True)} more; with "
        "what the data leave open it is likelier to lose than to gain",
    ]


def _fixed(answer: WhatIf, one: BudgetAnswer) -> list[tuple[str, str, float]]:
    """Money that no split moves, and with it all."""
    fixed = [(held.platform, "held", held.today) for held in answer.held]
    if answer.together:
        fixed.append(("all money", "", one.best.budget + sum(held.today for held in answer.held)))
    return fixed


def _split(answer: WhatIf, one: BudgetAnswer) -> list[str]:
    if answer.kept:
        return _kept(answer, one)
    bounds = {price.platform: price for price in one.limits}
    rows = [("platform", "today", "best", "amount", "revenue", "CPA", "ROAS", "utilisation", "marginal ROI", "limit")]
    for best, now in sorted(zip(one.best.platforms, answer.today, strict=True), key=lambda pair: -pair[0].share.value):
        price = bounds.get(best.platform)
        rows.append(
            (
                best.platform,
                f"{now:.1%}",
                f"{best.share.value:.1%} [{100 * best.share.low:.1f}, {100 * best.share.high:.1f}]",
                f"{best.amount.value:,.0f}",
                _interval(best.revenue, 0),
                _number(best.cpa.value, 2),
                _number(best.roas.value, 2),
                _part(best.utilisation.value),
                "never tried" if best.platform in answer.untried else _interval(best.marginal_roi, 2),
                _limit(best.platform, price, answer.untried),
            )
        )
    fixed = _fixed(answer, one)
    rows += [(name, "-", what or "-", f"{amount:,.0f}", "-", "-", "-", "-", "-", "") for name, what, amount in fixed]
    low, high = one.best.cycle_revenue
    lines = [f"best split of {one.best.budget:,.0f} ({one.label})", "", *_grid(rows, left={0, 9})]
    lines += [
        "",
        f"revenue {_interval(one.best.revenue, 0)}; a single cycle may bring {low:,.0f} to {high:,.0f}; today's split "
        f"should earn {_interval(one.today.revenue, 0)}",
    ]
    if one.limits:
        free = "" if math.isnan(one.free_unit) else f", {one.free_unit:.2f} on platforms that no limit holds"
        lines.append(f"one more unit of budget earns {_interval(one.next_unit, 2)} under the limits{free}")
    return lines


def _limit(platform: str, price: LimitPrice | None, untried: Sequence[str]) -> str:
    """What holds a share and what a point more would be worth; of what was never tried that it is a probe."""
    if price is None:
        return ""
    if platform in untried:
        return f"{price.kind}: a probe, as it was never tried"
    return f"{price.kind}: {price.per_point.value:,.2f} a point to {price.loosen}"


def _target(answer: WhatIf, target: TargetAnswer) -> list[str]:
    name, wanted = target.kind.upper(), f"{target.target:g}"
    bound = "at most" if target.kind == "cpa" else "at least"
    best = target.answer.best
    there = best.cpa if target.kind == "cpa" else best.roas
    marginal = f"the last unit of money there has a {name} of {_number(target.marginal, 2)}"
    if target.verdict == "never":
        return [
            f"{name} {bound} {wanted} on average: no budget meets it; the nearest is {_interval(there, 2)} at a budget "
            f"of {target.budget:,.0f}; {marginal}"
        ]
    if target.verdict == "always":
        return [
            f"{name} {bound} {wanted} on average: met at any budget up to {answer.end} ({target.budget:,.0f}), where "
            f"it is {_interval(there, 2)}; {marginal}"
        ]
    return [
        f"{name} {bound} {wanted} on average: met up to a budget of {target.budget:,.0f} "
        f"({target.budget / answer.budget - 1:+.0%} against today), {name} {_interval(there, 2)}; {marginal}"
    ]


def _interval(estimate: Estimate, digits: int, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if not all(map(math.isfinite, (estimate.value, estimate.low, estimate.high))):
        return "-"
    return f"{estimate.value:{plus},.{digits}f} [{estimate.low:{plus},.{digits}f}, {estimate.high:{plus},.{digits}f}]"


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def _part(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "-"


def _grid(rows: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            padded(cell, size, right=column not in left)
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
