"""scikit-learn's checks of the conventions of estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastem import BayesianGaussianMixture, GaussianMixture, PoissonMixture


class QuasiPoissonMixture(PoissonMixture):
    """PoissonMixture that accepts any non-negative number, because these checks use data that are no counts."""

    def _family(self):
        return super()._family()._replace(in_domain=lambda values: values >= 0, domain="non-negative numbers")


class NamedMixture(GaussianMixture):
    """GaussianMixture with a parameter of its own."""

    def __init__(self, n_components=1, *, name="", tol=1e-3):
        super().__init__(n_components, tol=tol)
        self.name = name


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some checks fit noise
@parametrize_with_checks(
    [
        GaussianMixture(),
        GaussianMixture(missing="marginalize"),
        BayesianGaussianMixture(),
        BayesianGaussianMixture(missing="marginalize"),
        *(GaussianMixture(covariance_type=name) for name in ("EVI", "VEE", "VVE", "EEV")),
    ]
)
def test_estimator_convention(estimator, check):
    check(estimator)


BY_THEMSELVES = ("check_positive_only_tag_during_fit", "check_sample_weight_equivalence_on_dense_data")
enforce_tags = estimator_checks._enforce_estimator_tags_X


def as_counts(estimator, X, **options):
    """The checks' own adaptation of data to the estimator's tags, followed by rounding to counts."""
    X = enforce_tags(estimator, X, **options)
    return np.rint(X) if isinstance(X, np.ndarray) and X.dtype.kind == "f" else X


@parametrize_with_checks(
    [PoissonMixture(), PoissonMixture(missing="marginalize")],
    expected_failed_checks=lambda _: dict.fromkeys(BY_THEMSELVES, "their data are no counts"),
)
def test_estimator_convention_of_counts(estimator, check, monkeypatch):
    monkeypatch.setattr(estimator_checks, "_enforce_estimator_tags_X", as_counts)
    check(estimator)


@pytest.mark.parametrize("check", BY_THEMSELVES)
def test_estimator_convention_of_positive_numbers(check):
    getattr(estimator_checks, check)("QuasiPoissonMixture", QuasiPoissonMixture())


RANDOM_START = {
    "check_sample_weight_equivalence_on_dense_data": "the draws of the start depend on how often rows are repeated; "
    "from the same start weights and repetition agree, see test_weights.py"
}


@parametrize_with_checks(
    [GaussianMixture(n_components=2, init_params=method) for method in ("kmeans", "random")],
    expected_failed_checks=lambda estimator: RANDOM_START,
)
def test_estimator_convention_with_a_random_start(estimator, check):
    check(estimator)


def test_parameters_are_those_of_the_class():
    GaussianMixture().get_params()
    assert NamedMixture(2, name="a", tol=0.1).get_params() == {"n_components": 2, "name": "a", "tol": 0.1}
    assert "name" not in GaussianMixture().get_params()
    assert clone(NamedMixture(3)).set_params(name="b").name == "b"
