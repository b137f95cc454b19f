import numpy as np

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.landscape import Coder, Point, fit_landscape

from .search.landscapes import coupled, pipeline


def test_contrasts_are_those_of_the_joint_prediction():
    spec = pipeline()
    everything = list(Space.of(spec, Lengths.planned(spec)))
    points = [Point(a, coupled(a), 0.05) for a in everything[::40]]
    landscape = fit_landscape(Coder.of(spec, Insights()), points)
    some = everything[::25]
    means, deviations = landscape.contrast(some)
    joint = landscape.predict(some)
    top = int(np.argmax(joint.mean))
    spread = np.diag(joint.covariance) + joint.covariance[top, top] - 2 * joint.covariance[top]
    assert np.allclose(means, joint.mean)
    assert np.allclose(deviations, np.sqrt(np.maximum(spread, 0.0)), atol=1e-6)
