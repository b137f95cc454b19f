"""One group of prompts decoded together, step by step, until every sample has ended."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agenttts.runtime.embedded import model as network
from agenttts.runtime.embedded import sampling, tokenizer


@dataclass(frozen=True)
class Choice:
    """One sample of a request.

    text: the reply, cut before the first stop string.
    tokens: all generated token ids, the closing <end> included.
    finish: 'stop' or 'length'.
    """

    text: str
    tokens: tuple[int, ...]
    finish: str


@dataclass(frozen=True)
class Ask:
    """What a request wants from the engine.

    prompt: token ids, at least one. limit: most tokens per sample, >= 1.
    """

    model: str
    prompt: tuple[int, ...]
    samples: int
    temperature: float
    top_p: float
    limit: int
    seed: int
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """An ask and where its choices go."""

    ask: Ask
    future: Future[tuple[Choice, ...]] = field(default_factory=Future)


class Batch:
    """Decode asks of one model together; results do not depend on who shares the batch.

    All arrays are (prompts, samples), samples being the most any ask wants; `alive` is False for the surplus.
    """

    def __init__(self, model: network.Model, works: Sequence[Work]) -> None:
        asks = [work.ask for work in works]
        samples = max(ask.samples for ask in asks)
        self.works = list(works)
        self._model = model
        self._logits, self._cache = network.encode(model, [ask.prompt for ask in asks], samples)
        self._logits = np.repeat(self._logits[:, None], samples, axis=1)
        self._streams = np.stack([sampling.streams(ask.seed, ask.prompt, samples) for ask in asks])
        self._alive = np.arange(samples) < np.array([[ask.samples] for ask in asks])
        self._ended_by_length = np.zeros_like(self._alive)
        self._tokens: list[network.Tokens] = []

    @property
    def done(self) -> bool:
        """Say whether every sample has ended."""
        return not self.works

    def step(self) -> None:
        """Draw one token for every living sample, hand over finished asks and prepare the next step."""
        self._draw()
        self._end_samples()
        finished = ~np.any(self._alive, axis=1)
        if finished.any():
            self._hand_over(finished)
        if not self.done:
            self._logits = network.extend(self._model, self._cache, self._tokens[-1])

    def _draw(self) -> None:
        rows = np.nonzero(self._alive)
        settings = [[work.ask.temperature, work.ask.top_p] for work in self.works]
        per_prompt = np.array(settings, dtype=np.float32)[rows[0]]
        uniform = sampling.uniforms(self._streams[rows], len(self._tokens))
        tokens = np.full(self._alive.shape, tokenizer.PAD, dtype=np.int64)
        tokens[rows] = sampling.draw(self._logits[rows], per_prompt[:, 0], per_prompt[:, 1], uniform)
        self._tokens.append(tokens)

    def _end_samples(self) -> None:
        limits = np.array([[work.ask.limit] for work in self.works])
        self._alive &= self._tokens[-1] != tokenizer.END
        for index, work in enumerate(self.works):
            if work.ask.stops:
                self._end_at_stops(index, work.ask.stops)
        self._ended_by_length |= self._alive & (len(self._tokens) >= limits)
        self._alive &= len(self._tokens) < limits

    def _end_at_stops(self, index: int, stops: tuple[str, ...]) -> None:
        for sample in np.flatnonzero(self._alive[index]):
            text = tokenizer.decode(int(step[index, sample]) for step in self._tokens)
            if any(stop in text for stop in stops):
                self._alive[index, sample] = False

    def _hand_over(self, finished: NDArray[np.bool_]) -> None:
        steps = np.stack(self._tokens, axis=-1)
        for index in np.flatnonzero(finished):
            work = self.works[index]
            lengths = self._ended_by_length[index]
            choices = (
                self._choice(work.ask, steps[index, j], bool(lengths[j])) for j in range(work.ask.samples)
            )
            result = tuple(choices)
            if work.future.set_running_or_notify_cancel():
                work.future.set_result(result)
        self._keep(np.flatnonzero(~finished))

    def _choice(self, ask: Ask, steps: network.Tokens, too_long: bool) -> Choice:
        tokens = tuple(int(token) for token in steps if token != tokenizer.PAD)
        text = tokenizer.decode(tokens)
        cuts = [text.index(stop) for stop in ask.stops if stop in text]
        return Choice(
            text[: min(cuts)] if cuts else text, tokens, "length" if too_long and not cuts else "stop"
        )

    def _keep(self, prompts: network.Tokens) -> None:
        self.works = [self.works[index] for index in prompts]
        if self.works:
            self._cache = network.keep(self._cache, prompts)
        self._streams, self._alive = self._streams[prompts], self._alive[prompts]
        self._ended_by_length = self._ended_by_length[prompts]
        self._tokens = [step[prompts] for step in self._tokens]
