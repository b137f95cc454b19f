"""The page of the live benchmark, from its judged searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np

TRIALS, FEW, MANY = 50, 15, 200
OURS, SHORT = "agenttts", f"agenttts, {FEW} trials"
RACED, SHORT_RACED = "agenttts, raced start", f"agenttts, raced start, {FEW} trials"
RANDOMS = ("random", f"random, {MANY} trials", "random, no racing")
RANDOM = ("--searcher", "random", "--trials")
WAYS = {
    OURS: ("--trials", str(TRIALS)),
    SHORT: ("--trials", str(FEW)),
    RACED: ("--trials", str(TRIALS)),
    SHORT_RACED: ("--trials", str(FEW)),
    RANDOMS[0]: (*RANDOM, str(TRIALS)),
    RANDOMS[1]: (*RANDOM, str(MANY)),
    RANDOMS[2]: (*RANDOM, str(TRIALS), "--no-racing"),
}
"""Ways to search, by name: the command's options."""
WORDS = f"""Whole searches with `agenttts search` on the embedded models, {TRIALS} trials but where it is
said, 100 items a trial, finals on the rest, each with its own store. `no racing` is what a random
search is elsewhere: every trial on all items. *first good*, *good for good*: completions drawn when
the decision was within 1 point of the known optimum for the first time, and from then on always. The
truth is the mean over the 200 search items. Below 0: an allocation that fits the budget only by the
lengths measured since, and so is not in the recorded landscape, is better than its optimum. The
paper's initial trials compare models at equal cost, so the small ones draw 40 samples an item, and are
most of what is drawn before the first good decision. `raced start`, the option `"initial": "raced"`:
the two of five that draw the fewest begin, and the others race against these."""

SAME_WORDS = """*until random is as good*: completions, over all seeds, after which the mean regret of
random decisions was for the first time within half a point (one of the 200 items) of the mean final
regret of the search on the left; of the random searches above the one that needed fewest, finals
included where they had begun. In brackets: how many fewer the search on the left drew, with its finals.
`more than`: no random search ever was."""
SOON_WORDS = """The other way round: completions, over all seeds, after which the mean regret of our decisions
was for good at most the mean final regret of the random search on the left. In brackets: how many fewer
than the whole random search drew. `never`: our searches end worse."""
CLOSE = 0.005


@dataclass(frozen=True)
class Live:
    """One search, in one of the WAYS. first, settled: completions drawn when its decision was within a point
    of the optimum for the first time, and from then on for good; None where it never was. final: true regret
    of its answer. drawn: completions, finals included. course: completions and true regret of the decision,
    after each trial and after the finals.
    """

    way: str
    seed: int
    first: int | None
    settled: int | None
    final: float
    drawn: int
    course: tuple[tuple[int, float], ...]


def page(found: Sequence[Live]) -> str:
    """Return the page."""
    rows = [
        f"| {live.seed} | {_named(live.way)} | {_drawn(live.first)} | {_drawn(live.settled)} | "
        f"{100 * live.final:.1f} | {live.drawn:,} |"
        for live in found
    ]
    return "\n".join(
        [
            "# The example, live",
            "",
            "Written by `python -m tests.bench.live`; do not edit.",
            "",
            *wrap(" ".join(WORDS.split()), 110),
            "",
            "| seed | search | first good | good for good | final regret, points | completions in all |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            "## All seeds together",
            "",
            "`never` counts as all that was drawn. In brackets: how many fewer `agenttts` drew.",
            "",
            "| search | until first good | until good for good | in all | mean final regret, points |",
            "| --- | --- | --- | --- | --- |",
            *(_together(found, way) for way in WAYS),
            "",
            "## At the same final regret",
            "",
            *wrap(" ".join(SAME_WORDS.split()), 110),
            "",
            "| search | mean final regret, points | completions | until `random` is as good |",
            "| --- | --- | --- | --- |",
            *(_as_good(found, way) for way in (OURS, SHORT, RACED, SHORT_RACED)),
            "",
            *wrap(" ".join(SOON_WORDS.split()), 110),
            "",
            f"| search | mean final regret, points | completions | {_named(OURS)} | {_named(RACED)} |",
            "| --- | --- | --- | --- | --- |",
            *(_as_soon(found, way) for way in RANDOMS),
            "",
        ]
    )


def _drawn(completions: int | None) -> str:
    return "never" if completions is None else f"{completions:,}"


def _named(way: str) -> str:
    """Return a way with its searcher as code."""
    searcher, _, rest = way.partition(", ")
    return f"`{searcher}`, {rest}" if rest else f"`{searcher}`"


def _together(found: Sequence[Live], way: str) -> str:
    """Return a row with the sums over all seeds, and what `agenttts` draws less."""
    cells = []
    for what in ("first", "settled", "drawn"):
        mine, theirs = (_total(found, name, what) for name in ("agenttts", way))
        cells.append(f"{theirs:,}" + (f" [{1 - mine / theirs:.0%}]" if way != "agenttts" else ""))
    final = np.mean([100 * live.final for live in found if live.way == way])
    return f"| {_named(way)} | {' | '.join(cells)} | {final:.1f} |"


def _as_good(found: Sequence[Live], way: str) -> str:
    """Return a row with what `random` draws until its answers are as good as those of one of our ways."""
    mine = [live for live in found if live.way == way]
    target, drawn = float(np.mean([live.final for live in mine])), sum(live.drawn for live in mine)
    return f"| {_named(way)} | {100 * target:.1f} | {drawn:,} | {_needed(found, target, drawn)} |"


def _needed(found: Sequence[Live], target: float, drawn: int) -> str:
    theirs = [[live for live in found if live.way == way] for way in RANDOMS]
    needed = [number for lives in theirs if (number := until(lives, target + CLOSE)) is not None]
    if not needed:
        return f"more than {max(sum(live.drawn for live in lives) for lives in theirs):,}"
    return f"{min(needed):,} [{1 - drawn / min(needed):.0%}]"


def _as_soon(found: Sequence[Live], way: str) -> str:
    """Return a row with what our searches draw until they are as good as a random search's answers."""
    theirs = [live for live in found if live.way == way]
    target, drawn = float(np.mean([live.final for live in theirs])), sum(live.drawn for live in theirs)
    cells = []
    for ours in (OURS, RACED):
        needed = until([live for live in found if live.way == ours], target, lasting=True)
        cells.append("never" if needed is None else f"{needed:,} [{1 - needed / drawn:.0%}]")
    return f"| {_named(way)} | {100 * target:.1f} | {drawn:,} | {' | '.join(cells)} |"


def until(found: Sequence[Live], target: float, lasting: bool = False) -> int | None:
    """Return the completions, over all seeds, at which the mean regret of the decisions was at most `target`
    for the first time, or for good, when all seeds draw at the same pace; None when it never was.
    """
    steps = sorted({step for live in found for step, _ in live.course})
    good = [float(np.mean([_regret_at(live, step) for live in found])) <= target + 1e-9 for step in steps]
    for place, step in enumerate(steps):
        if all(good[place:]) if lasting else good[place]:
            return sum(min(step, live.drawn) for live in found)
    return None


def _regret_at(live: Live, drawn: int) -> float:
    """Return the regret of the latest decision within so many completions; 1 before the first one."""
    known = [lost for step, lost in live.course if step <= drawn]
    return known[-1] if known else 1.0


def _total(found: Sequence[Live], way: str, what: str) -> int:
    mine = [live for live in found if live.way == way]
    return sum(live.drawn if getattr(live, what) is None else getattr(live, what) for live in mine)
