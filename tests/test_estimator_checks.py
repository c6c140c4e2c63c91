"""scikit-learn's checks of the conventions that every estimator keeps."""

from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastem import GaussianMixture, PoissonMixture


class QuasiPoissonMixture(PoissonMixture):
    """PoissonMixture that takes any positive number for a count: the checks know no data of counts."""

    def _family(self):
        return super()._family()._replace(in_domain=lambda values: values >= 0, domain="non-negative numbers")


class NamedMixture(GaussianMixture):
    """GaussianMixture with a parameter of its own."""

    def __init__(self, n_components=1, *, name="", tol=1e-3):
        super().__init__(n_components, tol=tol)
        self.name = name


ESTIMATORS = [GaussianMixture(), QuasiPoissonMixture(), GaussianMixture(missing="marginalize")]


@parametrize_with_checks(ESTIMATORS)
def test_estimator_convention(estimator, check):
    check(estimator)


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
