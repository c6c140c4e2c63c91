"""scikit-learn's own tests of GaussianMixture, from the installed package, run on ours.

Their source is executed here as it is; then the name `GaussianMixture` is bound to our class.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import sklearn.mixture._gaussian_mixture as theirs

import fastem
from fastem.data import Wanted
from fastem.em.initialization import start
from fastem.em.problem import Problem
from fastem.engine.compiled import get_passes

_origin = find_spec("sklearn.mixture.tests.test_gaussian_mixture").origin
exec(compile(Path(_origin).read_text(), _origin, "exec"))

GaussianMixture = fastem.GaussianMixture

for _test in [value for name, value in globals().items() if name.startswith("test_")]:
    # parametrised over generators, which newer versions of pytest no longer take
    _test.pytestmark = [
        pytest.Mark(mark.name, (mark.args[0], list(mark.args[1])), mark.kwargs, _ispytest=True)
        if mark.name == "parametrize"
        else mark
        for mark in getattr(_test, "pytestmark", [])
    ]

WORKS = "starts from k-means take arrays of any namespace here, see test_namespaces.py"
globals()["test_gaussian_mixture_raises_where_array_api_not_implemented"].pytestmark.append(
    pytest.mark.xfail(reason=WORKS, strict=True).mark
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # theirs are not written for warnings as errors


@pytest.fixture(params=[np.float32, np.float64])
def global_dtype(request):
    return request.param


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    return request.param


@pytest.fixture(autouse=True)
def their_m_step_beside_ours(request, monkeypatch):
    """One test counts calls of their M-step function: let each M-step of ours call it, and agree with it."""
    if "all_init_does_not_estimate" not in request.node.name:
        return
    our_maximise, our_start = Problem.maximise, start.start_from

    def maximise(problem, sweep, mixture):
        passes = get_passes(problem.family)
        scores = problem.source.score(passes, mixture, Wanted(responsibilities=True))
        values = problem.source.rows.values
        mass, means, covariances = theirs._estimate_gaussian_parameters(
            values, scores.rows.responsibilities, problem.prior.reg_covar, "full"
        )
        result = our_maximise(problem, sweep, mixture)
        np.testing.assert_allclose(result.weights, mass / mass.sum(), rtol=1e-10)
        np.testing.assert_allclose(result.params.means + problem.source.rows.origin, means, rtol=1e-10)
        described = problem.family.describe(result.params)
        np.testing.assert_allclose(described["covariances"], covariances, rtol=1e-8, atol=1e-12)
        return result

    def start_from(family, sample, origin, blocks, prior):
        theirs._estimate_gaussian_parameters(sample.values, np.vstack(list(blocks())), prior.reg_covar, "full")
        return our_start(family, sample, origin, blocks, prior)

    monkeypatch.setattr(Problem, "maximise", maximise)
    monkeypatch.setattr(start, "start_from", start_from)
