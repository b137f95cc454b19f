import numpy as np

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.landscape import Point, fit_landscape
from agenttts.runtime.search.likeness import Coder

from .search.landscapes import coupled, pipeline


def fitted():
    spec = pipeline()
    everything = list(Space.of(spec, Lengths.planned(spec)))
    points = [Point(a, coupled(a), 0.05) for a in everything[::40]]
    return fit_landscape(Coder.of(spec, Insights()), points), everything[::25]


def test_contrasts_are_those_of_the_joint_prediction():
    landscape, some = fitted()
    means, deviations = landscape.contrast(some)
    joint = landscape.predict(some)
    covariance = np.stack([joint.column(place) for place in range(len(some))])
    top = int(np.argmax(joint.mean))
    spread = np.diag(covariance) + covariance[top, top] - 2 * covariance[top]
    assert np.allclose(means, joint.mean)
    assert np.allclose(deviations, np.sqrt(np.maximum(spread, 0.0)), atol=1e-6)


def test_the_columns_of_a_prediction_are_a_covariance_matrix_with_its_variances():
    landscape, some = fitted()
    joint = landscape.predict(some)
    covariance = np.stack([joint.column(place) for place in range(len(some))])
    assert np.allclose(covariance, covariance.T)
    assert np.allclose(np.diag(covariance), joint.variance)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_trials_make_every_prediction_surer_than_none_would():
    landscape, some = fitted()
    assert landscape.predict(some).variance.max() < landscape.plain.deviation**2
