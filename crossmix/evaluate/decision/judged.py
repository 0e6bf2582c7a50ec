"""How sure a recommended change is: the fit's own uncertainty, what data alone know of elasticities, held-out weeks.

The gain of a change is redrawn five ways at once:

- the fitted response's shape, by the parameters' standard errors: revenue then over now (`Change.then_NP`, `.now_NP`);
- each platform's elasticity, by d ~ N(0, v - t): revenue at the new amount is multiplied by (new / old)^d. Precisions
  add: 1 / v is a prior's (`PRIOR`: elasticities of media lie within about half of each other) and the data's own
  (`Backtest.known_error_CP`), so that a platform whose spend never moved keeps the prior's width however narrow a fit
  is; t is the variance that the fitted parameters leave it already;
- with the probability that its spend follows its own demand (`own_demand.py`), a platform's elasticity is what demand
  leaves of it instead;
- beyond what was spent in all but one of twenty cycles, returns that may fall faster than the fit's: the elasticity by
  k for each ln of money beyond, k half-normal (`BEYOND`);
- each platform's level, by that of held-out blocks, some of them drawn again.

The draws are those of the fit on all of the history, which answers. Held-out weeks are held against the fit of the
time before them: at the levels that came the change has to gain by what that one knew of money, too, and money that
moved in those weeks must not have answered in a way by which it loses (`Judged.otherwise`).

Two things no draw proves. Where budgets only ever moved together (`Judged.together_P`), the elasticities that all this
stands on are money's or demand's, nothing tells which. And what a platform earns that was never tried is borrowed from
others: where a probe is all that it gets, the change has to be sure though it earned nothing (`Judged.seen_N`).

Shapes: P platforms, N draws, W blocks, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmix.evaluate.decision import own_demand
from crossmix.evaluate.decision.backtest import Backtest
from crossmix.evaluate.decision.change import Change
from crossmix.evaluate.decision.held_out_told import MOVED

Array = npt.NDArray[np.float64]

PRIOR = 0.25
"""Deviation of an elasticity around the fitted one where data tell nothing."""
LED = 1 / 3
"""Part of the losing draws in which a platform follows its own demand, from which on the change leans on it."""
TOGETHER = 0.2
"""Error of an elasticity, left open by what all budgets did together, from which on nothing tells money from demand:
three quarters of what is known of that before any history."""
BEYOND = 0.5
"""Deviation of k. Curves that saturate (Hill's, a logarithm) fall so fast where their elasticity is a half."""
NEW = 0.7
"""Deviation of ln revenue of a platform where the campaign never spent, at least: what the fit's errors leave of it is
added to them."""
AHEAD = 4
"""Blocks over which a change is kept: their level errors average."""
RESAMPLES = 2_000
LEAST_BLOCKS = 4
"""Held-out blocks below which a back-test says nothing."""
SURE = 1.645
"""Deviations at which 95 % of a normal lie above 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One campaign's change with all that is known against it; money in currency per cycle."""

    change: Change
    gain_N: Array
    """Its gain at every draw."""
    seen_N: Array
    """The same if probes of platforms that were never tried earned nothing."""
    by_platform_NP: Array
    """Of the gain by platform: revenue then less now."""
    realised_W: Array
    """What it would have gained in each held-out block at the level that came."""
    seen_W: Array
    """The same if such probes earned nothing."""
    weeks_R: Array
    """Means of redrawn blocks; empty without blocks."""
    known_error_P: Array
    known_common_P: Array
    """The part of it that what all budgets did together leaves open."""
    follows_P: Array
    """Probability that a platform's spend follows its own demand."""
    follows_NP: npt.NDArray[np.bool_]
    """Where it does in the draws."""
    earlier_now_P: Array
    """Revenue of today's split by platform, by the fit that held-out weeks are held against."""
    earlier_then_P: Array
    """The same of the split that the change leads to."""
    off_P: Array
    """Elasticity that the held-out cycles show over that fit's, and its standard error."""
    off_error_P: Array
    cycles: int
    held_out: int
    tried_P: npt.NDArray[np.bool_]
    span: tuple[str, str] = ("", "")
    """Dates of the first and the last held-out cycle."""
    began_P: tuple[str | None, ...] = ()
    """Of platforms that began within the held-out cycles when they did (`held_out.began`); `()`: none did."""

    @property
    def probability(self) -> float:
        """That the change earns more than as today."""
        return float((self.gain_N > 0).mean())

    @property
    def weeks_above(self) -> float:
        """Part of the redrawn blocks' means above 0, though such probes earned nothing."""
        return float((redrawn_alike(self.seen_W) > 0).mean()) if len(self.seen_W) else 0.0

    def weeks(self, sure: float) -> tuple[float, float, float] | None:
        """Mean of the held-out blocks, and the ends of its interval (`ends`); `None` without blocks."""
        return (float(self.realised_W.mean()), *ends(self.weeks_R, sure)) if len(self.realised_W) else None

    def sure(self, least: float) -> bool:
        """Whether draws and held-out weeks both say so, and no money that moved in those weeks says otherwise."""
        enough = len(self.realised_W) >= LEAST_BLOCKS and not self.unproved
        return (
            enough and float((self.seen_N > 0).mean()) >= least and self.weeks_above >= least and self.otherwise is None
        )

    @property
    def otherwise(self) -> tuple[float, float] | None:
        """The gain by the answer to money that held-out weeks show, and its upper 97.5 %, where that is below 0."""
        ratio_P, answered_P = self.change.log_ratio_P, self.answered_P
        mean = float((answered_P - self.earlier_now_P).sum())
        high = mean + 1.96 * float(np.sqrt(((answered_P * ratio_P * self.off_error_P) ** 2).sum()))
        return (mean, high) if high < 0 else None

    @property
    def answered_P(self) -> Array:
        """Revenue of the split that the change leads to, by the answer to money that held-out weeks show."""
        return np.asarray(self.earlier_then_P * np.exp(np.clip(self.off_P * self.change.log_ratio_P, -2, 2)))

    def interval(self, sure: float) -> tuple[float, float]:
        """Ends of the interval of its gain (`ends`)."""
        return ends(self.gain_N, sure)

    @property
    def new_P(self) -> npt.NDArray[np.bool_]:
        """Platforms that the change gives more than a probe and that were never tried: what they earn is borrowed from
        others, and no history proves it."""
        return np.asarray(~self.tried_P & self.change.beyond_P)

    @property
    def counted_P(self) -> npt.NDArray[np.bool_]:
        """Platforms whose revenue counts in a proof: not those that were never tried and get a probe at most."""
        return counted(self.change, self.tried_P)

    @property
    def probed_P(self) -> npt.NDArray[np.bool_]:
        """The others, where the change gives them something."""
        return np.asarray(~self.counted_P & (self.change.best_P > self.change.today_P))

    @property
    def gain(self) -> float:
        """What counts of the revenue of the best split less today's, at the fitted parameters."""
        return float((self.change.then_P - self.change.now_P)[self.counted_P].sum())

    @property
    def moved(self) -> float:
        """Revenue that the change takes from platforms and adds to others, as far as it counts."""
        return float(np.abs(self.change.then_P - self.change.now_P)[self.counted_P].sum())

    @property
    def still_P(self) -> npt.NDArray[np.bool_]:
        """Platforms that the change moves and whose own data do not tell an elasticity better than a prior does."""
        return np.asarray(self._moves_P & (self.known_error_P > PRIOR))

    @property
    def together_P(self) -> npt.NDArray[np.bool_]:
        """Those whose budget only ever moved together with all others', so that nothing tells money from demand."""
        return np.asarray(self._moves_P & (self.known_common_P > TOGETHER))

    @property
    def demand_led_P(self) -> npt.NDArray[np.bool_]:
        """Platforms that the change moves whose spend may follow their own demand: it does in a third or more of the
        draws in which the change loses, and no less often there than elsewhere."""
        loses_N = self.seen_N <= 0
        if not loses_N.any():
            return np.zeros(len(self.follows_P), bool)
        there_P, everywhere_P = self.follows_NP[loses_N].mean(0), self.follows_NP.mean(0)
        return np.asarray(self._moves_P & (there_P >= LED) & (there_P >= everywhere_P))

    @property
    def _moves_P(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self._shifts_P & self.tried_P)

    @property
    def _shifts_P(self) -> npt.NDArray[np.bool_]:
        return np.asarray(np.abs(self.change.best_P - self.change.today_P) > MOVED)

    @property
    def since(self) -> list[tuple[str, str]]:
        """Platforms whose budget the change moves and that began within the held-out cycles, with the dates."""
        rows = zip(self.change.platforms, self.began_P, self._shifts_P.tolist(), strict=True) if self.began_P else ()
        return [(platform, when) for platform, when, moves in rows if moves and when is not None]

    @property
    def unproved(self) -> bool:
        """Whether no draws prove it, however many are above 0."""
        return bool(self.new_P.any() or self.together_P.any())

    def more(self, sure: float = SURE) -> int | None:
        """Cycles more after which the gain is sure, were all else the same; `None`: no length would do.

        What is uncertain falls with the square root of the history's length.
        """
        distance = float(self.seen_N.mean() / max(self.seen_N.std(), 1e-12))
        if distance >= sure and not self.unproved:
            return 0
        if distance <= sure / 4 or self.still_P.any() or self.unproved:
            return None
        return int(np.ceil(self.cycles * ((sure / distance) ** 2 - 1)))

    def more_weeks(self, sure: float = SURE) -> int | None:
        """The same of the back-test's mean."""
        if not len(self.seen_W) or self.seen_W.mean() <= 0:
            return None
        mean, error = float(self.seen_W.mean()), float(redrawn_alike(self.seen_W).std())
        return max(int(np.ceil(self.held_out * ((sure * error / mean) ** 2 - 1))), 1)


def furthest(ways: Sequence[Judged], sure: float) -> Judged | None:
    """The first of the ways that is sure by draws and by held-out weeks; `None`: none is.

    Args:
        ways: of one change (`crossmix.evaluate.decision.change.changes`), the whole way first.
    """
    return next((one for one in ways if one.sure(sure)), None)


def ends(value_N: Array, sure: float) -> tuple[float, float]:
    """Ends of the interval of probability 2 `sure` - 1, each of them a value that was drawn.

    What is proved is one-sided: at least `sure` of the values are above 0. Exactly then the lower end of this interval
    is; that of 95 % would lie below 0 for many a gain that is proved with 95 %.
    """
    low = float(np.quantile(value_N, 1 - sure, method="higher"))
    return low, max(float(np.quantile(value_N, sure, method="lower")), low)


def redrawn_alike(value_W: Array) -> Array:
    """`redrawn`, the same blocks at each call."""
    return redrawn(value_W, np.random.default_rng(0))


def redrawn(value_W: Array, rng: np.random.Generator) -> Array:
    """Means of blocks drawn again with replacement, (R,)."""
    return np.asarray(value_W[rng.integers(len(value_W), size=(RESAMPLES, len(value_W)))].mean(1))


def counted(change: Change, tried_P: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where revenue counts in a proof: not where a probe is all that a platform never tried gets."""
    return np.asarray(tried_P | change.beyond_P)


def judged(
    change: Change,
    test: Backtest,
    slot: int,
    tried_P: npt.NDArray[np.bool_],
    *,
    earlier: tuple[Array, Array] | None = None,
    began_P: tuple[str | None, ...] = (),
    seed: int = 0,
) -> Judged:
    """Judge one campaign's change.

    Args:
        slot: the campaign's number.
        tried_P: platforms where the campaign spent within what is fitted on (`Market.untried`).
        earlier: revenue of today's split and of the change's by platform, (P,) each, by the fit of the time before the
            held-out weeks (`crossmix.evaluate.decision.change.retold`); `None`: the change is that fit's.
        began_P: when platforms began that did within those weeks (`held_out.began`); `()`: none did.
    """
    # The same draws for every part of the way.
    rng = np.random.default_rng((seed, slot))
    draws, platforms = change.now_NP.shape
    known_P, off_P, off_error_P = (table[slot] for table in (test.known_error_CP, test.off_CP, test.off_error_CP))
    variance_P = 1 / (1 / PRIOR**2 + 1 / known_P**2)
    beyond_P = np.maximum(variance_P - change.elasticity_NP.var(0), 0.0)
    off_NP = np.sqrt(beyond_P) * rng.standard_normal((draws, platforms))
    named_P = [own_demand.by_name(change.campaign, platform) for platform in change.platforms]
    follows_P = np.where(tried_P, own_demand.probability(test.known_CP[slot], known_P, named_P), 0.0)
    # Draws of its own, so that those of all else are as they would be without.
    own = np.random.default_rng((seed, slot, 1))
    follows_NP = own.random((draws, platforms)) < follows_P
    shown_NP = change.elasticity_NP
    left_NP = own_demand.left_over(shown_NP, test.on_purpose_CP[slot], test.on_purpose_error_CP[slot], own)
    off_NP = np.where(follows_NP, left_NP - shown_NP, off_NP)
    level_NP, level_WP = np.ones((draws, platforms)), test.level_WCP[:, slot]
    if len(level_WP):
        level_NP = np.exp(level_WP)[rng.integers(len(level_WP), size=(draws, AHEAD))].mean(1)
    guess_P = np.sqrt(np.maximum(NEW**2 - np.log(np.maximum(change.then_NP, 1e-9)).var(0), 0.0))
    new_NP = np.where(tried_P, 1.0, np.exp(guess_P * rng.standard_normal((draws, platforms)) - 0.5 * guess_P**2))
    shape_NP = np.divide(change.then_NP, change.now_NP, out=np.zeros_like(change.then_NP), where=change.now_NP > 0)
    most_P = np.maximum(test.usual_most_CP[slot], change.budget * change.today_P)
    far_P = np.log(np.maximum(change.budget * change.best_P / np.maximum(most_P, 1e-12), 1.0))
    faster_NP = np.abs(BEYOND * rng.standard_normal((draws, platforms)))
    bent_NP = off_NP * change.log_ratio_P - 0.5 * faster_NP * np.where(tried_P, far_P, 0.0) ** 2
    grown_NP = shape_NP * np.exp(bent_NP) - 1
    # Of nothing there is no multiple: all that it then earns is gained.
    some_P = (change.now_P > 0) & ~change.idle_P
    begun_NP = change.then_NP * new_NP - change.now_P
    by_platform_NP = np.where(some_P, change.now_P * grown_NP, begun_NP) * level_NP
    counted_P = counted(change, tried_P)
    earlier_now_P, earlier_then_P = (change.now_P, change.then_P) if earlier is None else earlier
    realised_WP = (earlier_then_P - earlier_now_P) * np.exp(level_WP)
    realised_W = realised_WP.sum(1)
    return Judged(
        change=change,
        gain_N=by_platform_NP.sum(1),
        seen_N=by_platform_NP[:, counted_P].sum(1),
        by_platform_NP=by_platform_NP,
        realised_W=realised_W,
        seen_W=realised_WP[:, counted_P].sum(1),
        weeks_R=redrawn_alike(realised_W) if len(realised_W) else np.zeros(0),
        known_error_P=known_P,
        known_common_P=test.known_common_CP[slot],
        follows_P=follows_P,
        follows_NP=follows_NP,
        earlier_now_P=earlier_now_P,
        earlier_then_P=earlier_then_P,
        off_P=off_P,
        off_error_P=off_error_P,
        cycles=test.cycles,
        held_out=test.held_out,
        tried_P=tried_P,
        span=test.span,
        began_P=began_P,
    )
