"""The allocations that fit the budget, never written out: counted, listed lazily, drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import Cost, budget, total_cost
from agenttts.compiler.counting import Picks, count_picks
from agenttts.compiler.errors import AllocationError
from agenttts.compiler.infeasible import Infeasible, infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.neighbours import neighbours
from agenttts.compiler.options import LIMIT_TICKS, StageOptions, all_options, ticks
from agenttts.compiler.sizes import by_size
from agenttts.spec.model import PipelineSpec, StageSpec


@dataclass(frozen=True)
class Space:
    """All allocations of a spec whose planned cost is at most the budget, up to a relative 1e-9.

    Every stage takes one of its models and one of its allowed samples. Equal spec and lengths give equal
    spaces, orders and numbers.

    `in`, iteration, `neighbours` and `infeasible` are exact in every space. So are `count`, `number` and
    `sample` where `count_is_exact`: always with up to 4 stages of 500 choices or 6 of 64, further while
    costs coincide or the budget is tight. In a larger space these three leave out some of the allocations
    that cost nearly the whole budget: of the room between the cheapest allocation and the budget, those leave
    less than 1/50,000 per stage unused. What they number always fits. Time and memory then grow with stages
    x choices per stage, not with the count: 10 stages of 300 choices take about half a second.
    """

    spec: PipelineSpec
    lengths: Lengths
    options: tuple[StageOptions, ...]

    @classmethod
    def of(cls, spec: PipelineSpec, lengths: Lengths) -> Space:
        """Tabulate the stages' choices; CostError when the spec lacks a number that the unit needs."""
        return cls(spec, lengths, all_options(spec, lengths))

    @property
    def limit(self) -> Cost:
        """The budget per item."""
        return budget(self.spec)

    def cost(self, allocation: Allocation) -> Cost:
        """Plan what one item costs."""
        return total_cost(self.spec, allocation, self.lengths)

    def count(self) -> int:
        """Count the allocations without listing them: exact where `count_is_exact`, else slightly too few."""
        return self._picks.count

    @property
    def count_is_exact(self) -> bool:
        """Whether `count`, `number` and `sample` cover every allocation that fits."""
        return self._picks.exact

    def number(self, number: int) -> Allocation:
        """Return allocation `number`, 0 <= number < count(): a fixed numbering, not `iter`'s order."""
        places = self._picks.unrank(number)
        return self._at(places)

    def sample(self, below: Callable[[int], int]) -> Allocation:
        """Draw one allocation; exactly uniform over the `count()` numbered ones if `below(n)` is over 0..n-1.

        Asks `below` once. Only where `infeasible()` is None: an empty space has nothing to draw.
        """
        return self.number(below(self.count()))

    def __iter__(self) -> Iterator[Allocation]:
        """List lazily, in order of the stages, then models as the spec lists them, then samples ascending."""
        return self._walk((), LIMIT_TICKS)

    def __contains__(self, allocation: object) -> bool:
        """Say whether an allocation has this spec's stages, allowed choices, and fits."""
        if not isinstance(allocation, Allocation) or len(allocation.stages) != len(self.options):
            return False
        used = 0
        for options, (stage, choice) in zip(self.options, allocation, strict=True):
            if stage != options.stage or choice not in options.index:
                return False
            used += options.ticks[options.index[choice]]
        return used <= LIMIT_TICKS

    def cheapest(self) -> Allocation:
        """Return the cheapest allocation, whether it fits or not; ties go to the model listed first."""
        return Allocation(tuple((stage.name, self._cheapest(stage)) for stage in self.spec.model_stages))

    def largest_single(self) -> Allocation:
        """Return the largest model with the fewest samples everywhere, whether it fits or not."""
        return Allocation(
            tuple(
                (stage.name, Choice(by_size(self.spec, stage)[-1], stage.samples.values()[0]))
                for stage in self.spec.model_stages
            )
        )

    def neighbours(self, allocation: Allocation) -> tuple[Allocation, ...]:
        """Return the feasible allocations one step away from a feasible one; order in `compiler.neighbours`.

        Raises:
            AllocationError: if the allocation is not in the space.
        """
        if allocation not in self:
            raise AllocationError(f"{allocation.key}: not in the space. Start from a feasible allocation.")
        return neighbours(self.options, allocation)

    def max_samples(self, stage: str, model: str, rest: Allocation) -> int:
        """Give the most samples of a model that fit beside the other stages of `rest`; 0 when none does."""
        others = sum(
            ticks(self.spec, self.spec.stage(name), choice, self.lengths)
            for name, choice in rest
            if name != stage
        )
        options = next(row for row in self.options if row.stage == stage).by_model[model]
        fitting = options.most(LIMIT_TICKS - others)
        return options.samples[fitting - 1] if fitting else 0

    def infeasible(self) -> Infeasible | None:
        """Explain an empty space; None when something fits."""
        if sum(row.least for row in self.options) <= LIMIT_TICKS:
            return None
        what = "no allocation fits: the cheapest allocation"
        return infeasible(self.spec, self.cheapest(), self.lengths, self.limit, what)

    @cached_property
    def _picks(self) -> Picks:
        """Counting tables, built by the first count, number or sample: iteration does not need them."""
        return _count(tuple(row.ticks for row in self.options))

    def _cheapest(self, stage: StageSpec) -> Choice:
        fewest = stage.samples.values()[0]
        choices = [Choice(model, fewest) for model in stage.models]
        return min(choices, key=lambda choice: ticks(self.spec, stage, choice, self.lengths))

    def _at(self, places: tuple[int, ...]) -> Allocation:
        rows = zip(self.options, places, strict=True)
        return Allocation(tuple((row.stage, row.choices[place]) for row, place in rows))

    def _walk(self, places: tuple[int, ...], room: int) -> Iterator[Allocation]:
        if len(places) == len(self.options):
            yield self._at(places)
            return
        here = self.options[len(places)]
        after = sum(row.least for row in self.options[len(places) + 1 :])
        for place, value in enumerate(here.ticks):
            if value + after <= room:
                yield from self._walk((*places, place), room - value)


@lru_cache(maxsize=1)
def _count(ticks: tuple[tuple[int, ...], ...]) -> Picks:
    """Count once for all equal spaces that a command makes, such as a plan's and its estimate's."""
    return count_picks(ticks, LIMIT_TICKS)
