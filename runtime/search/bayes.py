"""Bayesian optimisation by Optuna: TPE, or a Gaussian process (`"sampler": "gp"`). The only user of optuna.

Optuna's study is made anew from the archive for every question, so no state outlives a call. A suggestion
that does not fit is shrunk; one that was tried is asked for again, and after a few times left to chance.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.options import StageOptions
from agenttts.compiler.space import Space
from agenttts.runtime.decision import Direction
from agenttts.runtime.records import Archive, Guideline, Proposal, TrialResult, TrialState
from agenttts.runtime.search.drawing import draw_untried, generator, tried
from agenttts.runtime.search.protocol import SearcherError
from agenttts.runtime.search.repair import belongs, fitted, nearest
from agenttts.spec.model import Json, PipelineSpec

if TYPE_CHECKING:
    import optuna

SAMPLERS = {"tpe": ("optuna",), "gp": ("optuna", "scipy", "torch")}
"""The packages that each sampler needs."""
EXTRAS = {"tpe": "bayes", "gp": "bayes-gp"}
STARTUP = 10  # random trials before the model is used
REDRAWS = 10


@dataclass(frozen=True, slots=True)
class Knob:
    """A number of samples as Optuna sees it: one for each model (TPE), or one for a whole stage (GP)."""

    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Bayes:
    """Asks Optuna. sampler: `tpe` or `gp`."""

    space: Space
    seed: int
    direction: Direction
    sampler: str

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return what Optuna suggests, each new and fitting, and random ones where it suggests no such."""
        taken = tried(archive)
        chance = generator(self.seed, "bayes", len(archive.results))
        with _quiet():
            study = self._study(archive, chance.randrange(2**31))
            found = self._suggested(study, taken, min(count, self.space.count() - len(taken)))
        reason = f"suggested by Optuna's {self.sampler.upper()} sampler"
        drawn = draw_untried(self.space, taken | found.keys(), count - len(found), chance)
        return (
            *(Proposal(allocation, reason, "bayes") for allocation in found),
            *(Proposal(a, "Optuna suggested nothing new: drawn at random", "bayes") for a in drawn),
        )

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:  # noqa: ARG002
        """Learn nothing in words."""
        return ()

    def _study(self, archive: Archive, seed: int) -> optuna.Study:
        import optuna

        build: Mapping[str, Callable[[], optuna.samplers.BaseSampler]] = {
            "tpe": lambda: optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True
            ),
            "gp": lambda: optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP),
        }
        study = optuna.create_study(sampler=build[self.sampler](), direction=self.direction)
        known = (r for r in archive.results if belongs(self.space, r.allocation))
        study.add_trials([self._told(result) for result in known])
        return study

    def _suggested(self, study: optuna.Study, taken: set[Allocation], count: int) -> dict[Allocation, None]:
        """Ask one by one; each is told back as an average trial, so that the next lies elsewhere."""
        import optuna

        found: dict[Allocation, None] = {}
        lie = _average(study)
        for _ in range(count + REDRAWS):
            if len(found) >= count:
                break
            asked = study.ask()
            allocation = fitted(self.space, self._choices(asked))
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
            if allocation is None or allocation in taken or allocation in found:
                continue
            found[allocation] = None
            study.add_trial(self._trial(allocation, optuna.trial.TrialState.COMPLETE, lie))
        return found

    def _choices(self, trial: optuna.Trial) -> dict[str, Choice]:
        chosen = {}
        for row in self.space.options:
            model = str(trial.suggest_categorical(f"{row.stage}/model", _models(row)))
            knob = self._knob(row, model)
            samples = trial.suggest_int(knob.name, knob.low, knob.high, log=True)
            chosen[row.stage] = nearest(row.by_model[model], samples)
        return chosen

    def _told(self, result: TrialResult) -> optuna.trial.FrozenTrial:
        """A failed trial teaches nothing, one that cost too much is pruned: worse than every complete one."""
        import optuna

        states = {
            TrialState.FAILED: optuna.trial.TrialState.FAIL,
            TrialState.INFEASIBLE: optuna.trial.TrialState.PRUNED,
        }
        state = states.get(result.state, optuna.trial.TrialState.COMPLETE)
        if result.score is None:
            state = optuna.trial.TrialState.FAIL
        value = result.score if state is optuna.trial.TrialState.COMPLETE else None
        return self._trial(result.allocation, state, value)

    def _trial(
        self, allocation: Allocation, state: optuna.trial.TrialState, value: float | None
    ) -> optuna.trial.FrozenTrial:
        import optuna

        params = dict[str, str | int]()
        distributions = dict[str, optuna.distributions.BaseDistribution]()
        for row in self.space.options:
            choice = allocation[row.stage]
            knob = self._knob(row, choice.model)
            params |= {f"{row.stage}/model": choice.model, knob.name: choice.samples}
            distributions[f"{row.stage}/model"] = optuna.distributions.CategoricalDistribution(_models(row))
            distributions[knob.name] = optuna.distributions.IntDistribution(knob.low, knob.high, log=True)
        return optuna.trial.create_trial(state=state, value=value, params=params, distributions=distributions)

    def _knob(self, row: StageOptions, model: str) -> Knob:
        if self.sampler == "tpe":
            samples = row.by_model[model].samples
            return Knob(f"{row.stage}/{model}/samples", samples[0], samples[-1])
        every = [n for options in row.by_model.values() for n in options.samples]
        return Knob(f"{row.stage}/samples", min(every), max(every))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep optuna's log lines and its warnings about experimental features off people's screens."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _models(row: StageOptions) -> tuple[str, ...]:
    return tuple(model for model, options in row.by_model.items() if options.samples)


def _average(study: optuna.Study) -> float:
    """Return the mean value of the trials that have one, 0 without any."""
    values = [trial.value for trial in study.trials if trial.value is not None]
    return sum(values) / len(values) if values else 0.0


def _missing(sampler: str) -> Iterator[str]:
    yield from (name for name in SAMPLERS[sampler] if find_spec(name) is None)


def bayes_searcher(
    spec: PipelineSpec, space: Space, _lengths: Lengths, seed: int, options: Mapping[str, Json]
) -> Bayes:
    """Build the searcher.

    Raises:
        SearcherError: if the option `sampler` is unknown, or the packages it needs are missing.
    """
    sampler = options.get("sampler", "tpe")
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise SearcherError(f"/search/options/sampler: {sampler!r} is not one of {', '.join(SAMPLERS)}.")
    missing = list(_missing(sampler))
    if missing:
        raise SearcherError(
            f"/search/searcher: 'bayes' with sampler {sampler!r} needs {' and '.join(missing)}. "
            f"Install: pip install 'agenttts[{EXTRAS[sampler]}]'."
        )
    return Bayes(space, seed, spec.objective.direction, sampler)
