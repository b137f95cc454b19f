"""Searchers that ask a language model: AgentTTS with its agent, and the baselines of the paper.

Nothing here talks to an endpoint: the dialogues are led by whoever runs the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.agent.brief import Brief, Style
from agenttts.runtime.agent.dialogue import Talk, drive
from agenttts.runtime.agent.proposing import propose
from agenttts.runtime.agent.teaching import foresee, teach
from agenttts.runtime.agent.trust import places, trust
from agenttts.runtime.options import OptionError
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.search.agenttts import AgentTTS, agenttts_searcher
from agenttts.runtime.search.drawing import draw_untried, generator, tried
from agenttts.runtime.search.protocol import Searcher
from agenttts.spec.model import Json, PipelineSpec


@runtime_checkable
class Talker(Searcher, Protocol):
    """A searcher whose decisions are dialogues; its `ask` and `tell` are those without an answer."""

    def asking(self, archive: Archive, count: int) -> Talk[tuple[Proposal, ...]]:
        """Lead to what `ask` returns."""

    def telling(self, archive: Archive) -> Talk[tuple[Guideline, ...]]:
        """Lead to what `tell` returns."""


@dataclass(frozen=True, slots=True)
class AssistedTTS:
    """Algorithm 1 with a language model. Initial trials and a part of every batch stay with the rules."""

    rules: AgentTTS
    brief: Brief

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return what the rules propose."""
        return drive(self.asking(archive, count))

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:
        """Return the rules' lessons."""
        return drive(self.telling(archive))

    def asking(self, archive: Archive, count: int) -> Talk[tuple[Proposal, ...]]:
        """Begin with the initial trials, then ask for all places but the rules' own, and let them fill up."""
        if not archive.results:
            return self.rules.ask(archive, count)
        starts = self.rules.starts(archive, count)
        mine = self._places(archive, count, len(starts))
        shown = self.brief.shown(archive.guidelines)
        proposed = yield from propose(self.brief, archive, starts, mine, shown)
        return _joined(self.rules.ask(archive, count), proposed, count)

    def telling(self, archive: Archive) -> Talk[tuple[Guideline, ...]]:
        """Ask for guidelines; the rules' lessons where the answer is unusable."""
        taught = (yield from teach(self.brief, archive)) if archive.results else ()
        return taught or self.rules.tell(archive)

    def _places(self, archive: Archive, count: int, started: int) -> int:
        """Return how many places the agent gets beside the initial trials of a batch."""
        initial = {proposal.allocation for proposal in self.rules.starts(Archive(), self.brief.space.count())}
        earned = trust(archive, initial, self.brief.spec.objective.direction)
        granted = places(archive, count, earned, self.brief.spec.search.batch)
        return min(granted, count - started)


def _joined(own: Sequence[Proposal], proposed: Sequence[Proposal], count: int) -> tuple[Proposal, ...]:
    """Return the agent's proposals with the rules' best, and with their last, which is where they explore."""
    taken = {proposal.allocation for proposal in proposed}
    left, room = [row for row in own if row.allocation not in taken], count - len(proposed)
    kept = left if len(left) <= room else [*left[: max(0, room - 1)], *left[len(left) - min(1, room) :]]
    return (*proposed, *kept)


@dataclass(frozen=True, slots=True)
class PromptSearch:
    """A baseline that is nothing but prompts. What its model does not propose is drawn at random.

    guided: whether it writes guidelines; foresees: whether it does so before the first trial, too.
    """

    brief: Brief
    seed: int
    guided: bool
    foresees: bool = False

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return random proposals."""
        return drive(self.asking(archive, count))

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:
        """Learn nothing."""
        return drive(self.telling(archive))

    def asking(self, archive: Archive, count: int) -> Talk[tuple[Proposal, ...]]:
        """Ask for the whole batch."""
        guidelines: Sequence[Json] = self.brief.shown(archive.guidelines) if self.guided else []
        if self.foresees and not archive.results:
            guidelines = yield from foresee(self.brief)
        found = yield from propose(self.brief, archive, (), count, guidelines)
        taken = tried(archive) | {proposal.allocation for proposal in found}
        chance = generator(self.seed, "prompted", len(archive.results))
        drawn = draw_untried(self.brief.space, taken, count - len(found), chance)
        reason = "no usable proposal of the agent: drawn from the feasible space"
        return (*found, *(Proposal(allocation, reason, "random") for allocation in drawn))

    def telling(self, archive: Archive) -> Talk[tuple[Guideline, ...]]:
        """Ask for guidelines, where this baseline writes any."""
        if not self.guided or not archive.results:
            return ()
        return (yield from teach(self.brief, archive))


def agenttts(
    spec: PipelineSpec, space: Space, lengths: Lengths, seed: int, options: Mapping[str, Json]
) -> Searcher:
    """Build AgentTTS: with a search agent where the spec has one, else with the rules alone."""
    rules = agenttts_searcher(spec, space, lengths, seed, options)
    if spec.search.agent is None:
        return rules
    return AssistedTTS(rules, Brief(spec, space, spec.search.agent, Style(rules.insights)))


def zero_shot(
    spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, _options: Mapping[str, Json]
) -> Searcher:
    """Build the baseline that sees description, models and budget only."""
    return PromptSearch(_brief("llm-zero-shot", spec, space, Style(results=False)), seed, guided=False)


def agenthpo(
    spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, _options: Mapping[str, Json]
) -> Searcher:
    """Build the baseline in two phases whose guidelines know nothing of test-time scaling."""
    return PromptSearch(_brief("agenthpo", spec, space, Style()), seed, guided=True, foresees=True)


def mlcopilot(
    spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, options: Mapping[str, Json]
) -> Searcher:
    """Build the baseline in two phases that begins with the guidelines of a similar search.

    Raises:
        OptionError: if the option `similar` is no list of texts; ids are replaced by these before.
    """
    similar = options.get("similar")
    if isinstance(similar, str) and similar:
        what = f"the guidelines of the search {similar!r} are not in the recording"
        raise OptionError(f"/search/options/similar: {what}. Export it again, or take another searcher.")
    texts = [text for text in similar if isinstance(text, str)] if isinstance(similar, list) else []
    if not texts:
        what = f"must be a list of guidelines, or the id of a search of the store, got {similar!r}"
        raise OptionError(f"/search/options/similar: {what}. Name a similar search.")
    return PromptSearch(_brief("mlcopilot", spec, space, Style(similar=tuple(texts))), seed, guided=True)


def _brief(name: str, spec: PipelineSpec, space: Space, style: Style) -> Brief:
    if spec.search.agent is None:
        what = f"the searcher {name!r} needs a language model, and there is no search agent"
        raise OptionError(f'/search/agent: {what}. Add "agent": {{"model": ..., "base_url": ...}}.')
    return Brief(spec, space, spec.search.agent, style)
