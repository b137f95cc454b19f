"""The answer that an archive supports: from the finals where they were run, else from estimates. Pure."""

from __future__ import annotations

from dataclasses import replace

from agenttts.runtime.decision import Decision, best, choose
from agenttts.runtime.estimating import ranking
from agenttts.runtime.measuring import joined
from agenttts.runtime.records import Archive, TrialResult, TrialState
from agenttts.spec.model import PipelineSpec


def decide(spec: PipelineSpec, archive: Archive) -> Decision | None:
    """Decide: the cheapest trial that is not worse than the best one by more than the tolerance.

    After finals the best one is that with the best mean over all items that the last finalists scored, and
    the others are compared with it item by item. Without finals it is the best by estimate, and a cheaper one
    must be within the tolerance with some certainty. The winner is returned with the scores of its finals.
    None when no trial is complete.
    """
    search, direction = spec.search, spec.objective.direction
    ranked = ranking(spec, archive)
    if not ranked.results:
        return None
    finalists = finalists_of(archive)
    known = {result.number: result for result in finalists}
    compared = [known.get(result.number, result) for result in ranked.results]
    settled = best(Archive(finalists), search.tolerance, direction)
    if settled is None:
        return choose(ranked.results, ranked.losses, search.tolerance, compared)
    chosen = choose([settled.winner], [0.0], search.tolerance, compared)
    return replace(chosen, leader=settled.leader, eligible=settled.eligible)


def finalists_of(archive: Archive) -> tuple[TrialResult, ...]:
    """Return the trials that were measured again, each with all its scores; those that failed there are
    left out.
    """
    trials = {result.number: result for result in archive.complete}
    return tuple(
        joined(trials[final.number], final)
        for final in archive.finals
        if final.number in trials and final.state is TrialState.COMPLETE
    )
