"""scikit-learn's checks of the conventions that every estimator keeps."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastem import GaussianMixture, PoissonMixture


class QuasiPoissonMixture(PoissonMixture):
    """PoissonMixture that takes any positive number for a count: the checks know no data of counts."""

    def _family(self):
        return super()._family()._replace(in_domain=lambda values: values >= 0, domain="non-negative numbers")


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
