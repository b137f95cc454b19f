"""How easy items are: what the score of a trial on some of them owes to which ones they were. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

EASE_TRIALS = 50  # complete trials, the latest, that say how easy an item is
EASE_PRIOR = 5  # trials: so many say half of it, for the few first ones are lucky or unlucky themselves

Scores = Mapping[str, float | None]
"""By item id; None: unscored."""


def item_ease(complete: Iterable[Scores]) -> dict[str, float]:
    """Return by item how much better than on average the latest complete trials scored on it, drawn to 0
    where they are few.
    """
    latest = list(complete)[-EASE_TRIALS:]
    found = defaultdict[str, list[float]](list)
    for scores in latest:
        for item, score in scores.items():
            if score is not None:
                found[item].append(score)
    means = {item: sum(scores) / len(scores) for item, scores in found.items()}
    overall = sum(means.values()) / max(1, len(means))
    known = len(latest) / (len(latest) + EASE_PRIOR)
    return {item: known * (value - overall) for item, value in means.items()}


def luck(scores: Scores, ease: Mapping[str, float]) -> float:
    """Return how much easier than all items those were that a trial scored."""
    known = [ease[item] for item, score in scores.items() if score is not None and item in ease]
    return sum(known) / max(1, len(known))
