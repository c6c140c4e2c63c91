"""scikit-learn's own tests of BayesianGaussianMixture, from the installed package, run on ours.

Their source is executed here as it is; then the name `BayesianGaussianMixture` is bound to our class. One test calls
their private methods; what it says of covariances is in `test_bayesian_mixtures.py`.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

import fastem

_origin = find_spec("sklearn.mixture.tests.test_bayesian_mixture").origin
exec(compile(Path(_origin).read_text(), _origin, "exec"))

BayesianGaussianMixture = fastem.BayesianGaussianMixture
del test_compare_covar_type  # noqa: F821  # theirs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # theirs are not written for warnings as errors
