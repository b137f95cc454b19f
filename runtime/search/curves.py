"""How a stage's score follows its samples: a saturating curve fitted to noisy points (Insight 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POWERS = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
GAIN_PRIOR = 0.3  # standard deviation of what samples can add, before anything was measured
LEAST_ERROR = 0.01


@dataclass(frozen=True, slots=True)
class Curve:
    """score(S) = top - gain * S**-power, gain >= 0. error: of `gain`."""

    top: float
    gain: float
    power: float
    error: float

    def at(self, samples: int) -> float:
        """Return the fitted score.

        >>> Curve(0.8, 0.4, 1.0, 0.1).at(4)
        0.7000000000000001
        """
        return float(self.top - self.gain * samples**-self.power)

    def knee(self, allowed: Sequence[int], tolerance: float) -> int:
        """Return the fewest allowed samples whose score is within `tolerance` of the most samples' score.

        >>> Curve(0.8, 0.4, 1.0, 0.1).knee(range(1, 101), 0.02)
        17
        """
        enough = self.at(allowed[-1]) - tolerance
        return next(samples for samples in allowed if self.at(samples) >= enough)


def fit_curve(samples: Sequence[int], scores: Sequence[float], errors: Sequence[float]) -> Curve | None:
    """Fit the curve by weighted least squares over a few powers; None below two different numbers of samples.

    The gain is drawn to 0 as far as the errors allow, so that noise alone does not look like a trend.
    """
    if len(set(samples)) < 2:
        return None
    values = np.asarray(scores, dtype=float)
    weights = 1.0 / np.maximum(np.asarray(errors, dtype=float), LEAST_ERROR) ** 2
    fits = [_fit(np.asarray(samples, dtype=float), values, weights, power) for power in POWERS]
    return min(fits, key=lambda fit: fit[0])[1]


def _fit(samples: np.ndarray, scores: np.ndarray, weights: np.ndarray, power: float) -> tuple[float, Curve]:
    """Return the penalised squared error and the curve of one power."""
    shape = -(samples**-power)
    mass = weights.sum()
    shape_mean, score_mean = (weights * shape).sum() / mass, (weights * scores).sum() / mass
    spread = (weights * (shape - shape_mean) ** 2).sum() + 1.0 / GAIN_PRIOR**2
    gain = max(0.0, float((weights * (shape - shape_mean) * (scores - score_mean)).sum() / spread))
    top = float(score_mean - gain * shape_mean)
    loss = float((weights * (scores - top - gain * shape) ** 2).sum() + (gain / GAIN_PRIOR) ** 2)
    return loss, Curve(top, gain, power, float(spread**-0.5))
