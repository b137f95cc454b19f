"""What an agent of a known character costs a search, against the rules alone; writes docs/agent-benchmark.md.

`python -m tests.bench.agents`. Nothing is asked: scripts answer, in landscapes whose truth is known.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np

from tests.runtime.agent.characters import (
    FURTHER,
    ITEMS,
    LANDSCAPES,
    Character,
    best,
    cheap,
    landscape,
    lost,
    lucky,
    search,
    worst,
)

PAGE = Path(__file__).parents[2] / "docs" / "agent-benchmark.md"
CHARACTERS: dict[str, Character] = {
    "the worst of all untried allocations, knowing the truth": worst,
    "the cheapest models with a few samples": cheap,
    "anything": lucky,
    "the best of all untried allocations, knowing the truth": best,
}
OTHERS = """Mean final regret in points, on the same landscapes and seeds, with the same answers, whatever
they are asked in. A real model lies between these characters, and one that is as good as the last
leaves nothing to search for; what differs is what a bad one costs. What these searchers do not get
from their model they draw at random; `mlcopilot` begins with a false guideline."""
ASKING = ("agenthpo", "llm-zero-shot", "mlcopilot")
"""The other searchers that ask a language model."""


@dataclass(frozen=True)
class Pair:
    """One seed of one landscape: true regret of the rules alone, by character regret and trials of the agent,
    and by another searcher and character its regret.
    """

    rules: float
    agents: dict[str, tuple[float, int]]
    others: dict[tuple[str, str], float]


def main() -> None:
    """Search, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = range(parser.parse_args().seeds)
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(LANDSCAPES, pool.map(pairs, LANDSCAPES, [seeds] * len(LANDSCAPES)), strict=True))
    PAGE.write_text(page(found), "utf-8")
    print(page(found))


def pairs(name: str, seeds: range) -> list[Pair]:
    """Return what the seeds of a landscape gave."""
    return [_pair(name, seed) for seed in seeds]


def _pair(name: str, seed: int) -> Pair:
    agents, others = {}, {}
    for words, character in CHARACTERS.items():
        found = search(name, character(landscape(name), seed), seed, FURTHER)
        own = sum(result.proposal.source == "agent" for result in found.outcome.archive.results)
        agents[words] = lost(found), own
        for searcher in ASKING:
            script = character(landscape(name), seed)
            others[searcher, words] = lost(search(name, script, seed, FURTHER, searcher))
    return Pair(lost(search(name, None, seed, FURTHER)), agents, others)


def page(found: dict[str, list[Pair]]) -> str:
    """Return the page."""
    every = [pair for rows in found.values() for pair in rows]
    seeds = len(next(iter(found.values())))
    rules = 100 * np.mean([pair.rules for pair in every])
    words = f"""Final true regret of searches of 50 trials on {ITEMS} items, with finals on {FURTHER} further
        ones, against the rules alone, paired by seed: {len(found)} synthetic landscapes (replay.md), {seeds}
        seeds each, in points of score; means with standard errors over the searches, and the landscape where
        it costs most. The rules alone lose {rules:.2f} to the optimum. An agent whose answers are unusable
        costs nothing: every trial is the rules'."""
    return "\n".join(
        [
            "# What a search agent costs",
            "",
            "Written by `python -m tests.bench.agents`; do not edit.",
            "",
            *wrap(" ".join(words.split()), 110),
            "",
            "| the agent proposes | costs | at most | its trials of 50 |",
            "| --- | --- | --- | --- |",
            *(_row(found, character) for character in CHARACTERS),
            "",
            "## Other searchers that ask a model",
            "",
            *wrap(" ".join(OTHERS.split()), 110),
            "",
            f"| the agent proposes | `agenttts` | {' | '.join(f'`{name}`' for name in ASKING)} |",
            "| --- | --- | --- | --- | --- |",
            *(_regrets(every, character) for character in CHARACTERS),
            "",
        ]
    )


def _regrets(pairs: list[Pair], character: str) -> str:
    own = [100 * pair.agents[character][0] for pair in pairs]
    others = ([100 * pair.others[name, character] for pair in pairs] for name in ASKING)
    cells = [f"{np.mean(x):.2f} ± {np.std(x, ddof=1) / np.sqrt(len(x)):.2f}" for x in (own, *others)]
    return f"| {character} | {' | '.join(cells)} |"


def _row(found: dict[str, list[Pair]], character: str) -> str:
    costs = {n: [100 * (p.agents[character][0] - p.rules) for p in rows] for n, rows in found.items()}
    hardest = max(costs, key=lambda name: float(np.mean(costs[name])))
    trials = np.mean([pair.agents[character][1] for rows in found.values() for pair in rows])
    mean, most = _shown([cost for row in costs.values() for cost in row]), _shown(costs[hardest])
    return f"| {character} | {mean} | {hardest}: {most} | {trials:.0f} |"


def _shown(values: list[float]) -> str:
    return f"{np.mean(values):+.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"


if __name__ == "__main__":
    main()
