"""What a dialogue is about: the pipeline, its space, and what a searcher tells its language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agenttts.compiler.space import Space
from agenttts.runtime.agent.facts import (
    encoded,
    number,
    pipeline_facts,
    short,
    space_facts,
    trial_facts,
    tried_facts,
)
from agenttts.runtime.agent.rendering import render
from agenttts.runtime.records import Archive, Guideline
from agenttts.runtime.search.insights import Insights
from agenttts.spec.model import AgentSpec, Json, PipelineSpec

NO_INSIGHTS = Insights(models=False, samples=False, budget=False)
LONGEST_GUIDELINE = 1500
MOST_GUIDELINES = 100


@dataclass(frozen=True, slots=True)
class Style:
    """What the prompts of one kind of searcher hold.

    insights: those explained in the prompts. results: whether the trials are shown with their scores.
    similar: guidelines of a similar search.
    """

    insights: Insights = NO_INSIGHTS
    results: bool = True
    similar: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Brief:
    """A pipeline, its space, who is asked, and in which style."""

    spec: PipelineSpec
    space: Space
    agent: AgentSpec
    style: Style

    def situation(self) -> str:
        """Return the part that all prompts begin with."""
        return render(
            "situation",
            pipeline=encoded(pipeline_facts(self.spec)),
            space=encoded(space_facts(self.space)),
            limit=number(self.space.limit.amount),
            unit=self.space.limit.unit,
        )

    def trials(self, archive: Archive) -> str:
        """Return the trials with their results, "" where there are none or they are not to be shown."""
        if not archive.results or not self.style.results:
            return ""
        maximize = self.spec.objective.direction == "maximize"
        return render("trials", trials=encoded(trial_facts(archive, maximize)))

    def tried(self, archive: Archive) -> str:
        """Return the tried allocations where results are not to be shown."""
        if not archive.results or self.style.results:
            return ""
        return encoded(tried_facts(result.allocation for result in archive.results))

    def shown(self, guidelines: Sequence[Guideline]) -> list[Json]:
        """Return the guidelines that are shown again."""
        if self.agent.guidelines == "first_and_last_two" and len(guidelines) > 3:
            guidelines = (guidelines[0], *guidelines[-2:])
        return [
            {"guideline": g.number, "text": short(g.text, LONGEST_GUIDELINE), "trials": list(g.trials)}
            for g in guidelines[-MOST_GUIDELINES:]
        ]

    def limits(self) -> str:
        """Return the limits of the whole search in words."""
        limits = self.spec.search.limits
        rows = {"US dollars": limits.usd, "tokens": limits.tokens, "seconds": limits.wall_clock_s}
        return ", ".join(f"{amount:g} {name}" for name, amount in rows.items() if amount is not None)
