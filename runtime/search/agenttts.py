"""The paper's Algorithm 1, decided by rules: initial trials, then batches that follow the three insights.

The rules propose, a fitted landscape ranks, and a fixed share of every search explores what neither suggests.
Deciding takes a few hundredths of a second and hardly grows with the archive: the landscape is capped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.initial import initial_allocations, opening_batch, raced
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.published import published_initial
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.search.drawing import draw_untried, generator, tried
from agenttts.runtime.search.evidence import Evidence, read_evidence
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.lessons import lessons
from agenttts.runtime.search.ranking import Ranked, pick
from agenttts.runtime.search.rules import Idea, ideas, untried_combinations
from agenttts.spec.model import Json, PipelineSpec

EXPLORE_EVERY = 5  # one trial in so many is exploration, however sure the rules are
Initial = Literal["paper", "published", "raced"]
RANDOM_IDEAS = 60
MOST_IDEAS = 240


@dataclass(frozen=True, slots=True)
class AgentTTS:
    """Algorithm 1 with the rules agent. initial: how to begin, see the spec's reference."""

    spec: PipelineSpec
    space: Space
    seed: int
    insights: Insights
    initial: Initial = "paper"

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return initial trials first, then what the rules, the landscape and exploration choose."""
        return self.filled(archive, count, ())

    def filled(self, archive: Archive, count: int, chosen: Sequence[Proposal]) -> tuple[Proposal, ...]:
        """Return a batch that holds, after the initial trials, what others chose, and is filled up by the
        rules.
        """
        taken, starts = tried(archive), self.starts(archive, count)
        if starts and self._raced and not archive.results:
            return tuple(starts[: opening_batch(len(self._starts()))])
        found = {p.allocation: p for p in (*starts, *chosen)}
        if len(found) < count and not (found and not archive.results):
            for proposal in self._decided(archive, taken | found.keys(), count - len(found)):
                found.setdefault(proposal.allocation, proposal)
        return (*found.values(), *self._random(archive, taken | found.keys(), count - len(found)))

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:
        """Return what the archive teaches and no earlier guideline says."""
        return lessons(self._evidence(archive), archive.guidelines)

    def starts(self, archive: Archive, count: int) -> list[Proposal]:
        """Return at most `count` of the initial trials that were not tried yet."""
        reason, taken = "insight 1: compare the models of each stage at equal cost", tried(archive)
        fresh = [allocation for allocation in self._starts() if allocation not in taken]
        return [Proposal(allocation, reason, "rules") for allocation in fresh[:count]]

    def _starts(self) -> Sequence[Allocation]:
        if not self.insights.models:
            return ()
        starts = (
            published_initial(self.space) if self.initial == "published" else initial_allocations(self.space)
        )
        fitting = [allocation for allocation in dict.fromkeys(starts) if allocation in self.space]
        return raced(fitting) if self._raced else fitting

    @property
    def _raced(self) -> bool:
        """Whether there is a race that initial trials can be ordered for."""
        return self.initial == "raced" and self.spec.search.racing

    def _decided(self, archive: Archive, taken: Iterable[Allocation], count: int) -> list[Proposal]:
        """Fill places one kind at a time: exploration at its fixed places, rules everywhere else."""
        evidence, used = self._evidence(archive), set(taken)
        first = len(archive.results)
        exploring = sum((first + place) % EXPLORE_EVERY == EXPLORE_EVERY - 1 for place in range(count))
        explored = self._explore(evidence, used, exploring)
        used |= {proposal.allocation for proposal in explored}
        ranked = pick(evidence, self._pool(evidence, archive, used), count - len(explored))
        return [*(_ruled(row) for row in ranked), *explored]

    def _pool(self, evidence: Evidence, archive: Archive, used: set[Allocation]) -> list[Idea]:
        """Gather untried ideas of the rules and some random ones, each allocation once."""
        pool = {idea.allocation: idea for idea in reversed(list(ideas(evidence)))}
        kept = [idea for allocation, idea in reversed(pool.items()) if allocation not in used]
        chance = generator(self.seed, "ideas", len(archive.results))
        drawn = draw_untried(self.space, {*used, *pool}, RANDOM_IDEAS, chance)
        reason = "the landscape fitted to all trials predicts well here"
        return [*kept[:MOST_IDEAS], *(Idea(allocation, reason) for allocation in drawn)]

    def _explore(self, evidence: Evidence, used: set[Allocation], count: int) -> list[Proposal]:
        """Take untried combinations of models, the most promising first; random ones when none is left."""
        chance = generator(self.seed, "combinations", len(evidence.trials), len(used))
        pool = [idea for idea in untried_combinations(evidence, chance) if idea.allocation not in used]
        found = [_proposal(row.idea) for row in pick(evidence, pool, count)]
        chance = generator(self.seed, "explore", len(evidence.trials), len(used))
        taken = used | {proposal.allocation for proposal in found}
        drawn = draw_untried(self.space, taken, count - len(found), chance)
        return [*found, *(Proposal(a, "exploration: drawn from the whole space", "rules") for a in drawn)]

    def _random(self, archive: Archive, taken: Iterable[Allocation], count: int) -> list[Proposal]:
        chance = generator(self.seed, "fill", len(archive.results))
        drawn = draw_untried(self.space, set(taken), count, chance)
        reason = "nothing measured yet suggests more: drawn from the feasible space"
        return [Proposal(allocation, reason, "random") for allocation in drawn]

    def _evidence(self, archive: Archive) -> Evidence:
        search, direction = self.spec.search, self.spec.objective.direction
        return read_evidence(self.space, archive, self.insights, search.tolerance, direction)


def _proposal(idea: Idea) -> Proposal:
    return Proposal(idea.allocation, idea.reason, "rules")


def _ruled(row: Ranked) -> Proposal:
    reason = f"{row.idea.reason}; predicted {abs(row.mean):.3f} ± {row.deviation:.3f}"
    return Proposal(row.idea.allocation, reason, "rules")


def agenttts_searcher(
    spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, options: Mapping[str, Json]
) -> AgentTTS:
    """Build the searcher.

    Raises:
        ValueError: if the option `without` is not a list of insights, or `initial` is unknown.
    """
    initial = options.get("initial", "paper")
    for known in get_args(Initial):
        if initial == known:
            return AgentTTS(spec, space, seed, Insights.of(options), known)
    raise ValueError(f"/search/options/initial: {initial!r} is none of {', '.join(get_args(Initial))}.")
