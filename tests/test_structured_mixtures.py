"""Gaussian mixtures whose covariances have one of mclust's fourteen structures, through the public classes."""

import pickle

import numpy as np
import pytest
from fits import run
from known_answers import load as rows_of
from reference_structures import NAMES, SHARING_AXES, Structured, random_covariances
from scipy.special import logsumexp

from fastem import GaussianMixture, NormalInverseWishart, from_sklearn, load
from fastem.families.gaussian import FORMS, STRUCTURES
from fastem.mixtures import FACES

# At convergence from the partition, computed with mclust 6.0.0, `me()` of tolerance 1e-15.
ANSWERS = {
    "iris": (
        *(-401.802176, -384.314095, -361.425522, -339.468727, -340.085581, -306.860461, -256.354043),
        *(-237.560163, -234.140235, -215.240870, -214.850379, -186.073283, -205.535881, -180.185477),
    ),
    "faithful": (
        *(-1709.681373, -1709.529282, -1157.680012, -1152.880196, -1153.885568, -1147.806353, -1140.186759),
        *(-1136.259854, -1136.910261, -1132.187446, -1139.331599, -1134.679204, -1135.769904, -1130.263960),
    ),
}
HIGHER = {("iris", "VVE"): -214.053208, ("faithful", "VVE"): -1132.112642}  # than the maximum of mclust's algorithm
FOUR = {"VII": "spherical", "VVI": "diag", "EEE": "tied", "VVV": "full"}
SHARED = tuple(name for name in NAMES if name not in ("VII", "VVI", "VVV"))


def partitioned(data):
    """Rows and a component for each."""
    X, _ = rows_of(data)
    return X, np.repeat([0, 1, 2], 50) if data == "iris" else (X[:, 0] > 3).astype(int)


def overlapping(n_rows=400, n_features=3, seed=0):
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0] * np.linspace(0.5, 2.0, n_features)
    return rng.normal(size=(n_rows, n_features)) @ mix + 3.0 * rng.integers(2, size=(n_rows, 1))


def matrices(model):
    """Covariances (K, d, d) of any form."""
    n_components, n_features = model.means_.shape
    covariances = model.covariances_
    if model.covariance_type in ("diag", "spherical"):
        covariances = covariances.reshape(n_components, -1, 1) * np.eye(n_features)
    return np.broadcast_to(covariances, (n_components, n_features, n_features))


@pytest.mark.parametrize("acceleration", [None, "squarem", "anderson"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", ANSWERS)
def test_the_maximum_from_a_partition_is_that_of_mclust(data, name, acceleration):
    X, labels = partitioned(data)
    limits = {"tol": 1e-13, "max_iter": 2000, "reg_covar": 0.0, "acceleration": acceleration}
    model = GaussianMixture(labels.max() + 1, covariance_type=name, init_params=labels, **limits).fit(X)
    found = Structured(name, model.weights_, model.means_, model.covariances_)
    joint = np.column_stack([found.log_component(X, k) for k in range(len(found.weights))])
    total = logsumexp(np.log(found.weights) + joint, axis=1).sum()
    expected = HIGHER.get((data, name), ANSWERS[data][NAMES.index(name)])
    assert total == pytest.approx(expected, abs=2e-6)
    assert total > ANSWERS[data][NAMES.index(name)] - 1e-5
    assert model.score(X) * len(X) == pytest.approx(total, rel=1e-12)
    assert min(np.diff(model.lower_bounds_)) > -1e-12


def test_the_model_that_mclust_chooses_for_iris():
    """VEV with two components, of BIC -561.7285 by mclust's sign (Scrucca and others, 2016)."""
    X, _ = rows_of("iris")
    model = GaussianMixture(2, covariance_type="VEV", reg_covar=0.0, tol=1e-9, random_state=0).fit(X)
    assert model.bic(X) == pytest.approx(561.7285, abs=1e-3)


@pytest.mark.parametrize("name", FOUR)
def test_four_structures_are_the_forms_of_scikit_learn_to_the_last_bit(name):
    X, options = overlapping(), {"random_state": 0, "n_components": 2}
    ours = run(GaussianMixture(covariance_type=name, **options), X, 5)
    theirs = run(GaussianMixture(covariance_type=FOUR[name], **options), X, 5)
    np.testing.assert_array_equal(ours.covariances_, matrices(theirs))
    np.testing.assert_array_equal(ours.means_, theirs.means_)
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))
    assert ours.lower_bounds_ == theirs.lower_bounds_


@pytest.mark.parametrize("name", NAMES)
def test_the_decomposition_is_that_of_the_covariances(name):
    X = overlapping()
    model = run(GaussianMixture(2, covariance_type=name, random_state=0), X, 5)
    frames = model.orientations_
    composed = model.volumes_[:, None, None] * (frames * model.shapes_[:, None]) @ np.swapaxes(frames, 1, 2)
    np.testing.assert_allclose(composed, model.covariances_, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.precisions_ @ model.covariances_, [np.eye(3)] * 2, atol=1e-9)
    run(model.set_params(covariance_type="full"), X, 2)
    assert not any(hasattr(model, attribute) for attribute in ("volumes_", "shapes_", "orientations_"))


@pytest.mark.parametrize("exponent", [300, -300])
@pytest.mark.parametrize("name", NAMES)
def test_a_unit_that_is_a_power_of_two_changes_exponents_only(name, exponent):
    X, scale = overlapping(), 2.0**exponent
    start = {"means_init": X[:2], "precisions_init": np.array([np.eye(3)] * 2), "reg_covar": 0.0}
    scaled = {**start, "means_init": X[:2] * scale, "precisions_init": start["precisions_init"] / scale**2}
    plain = run(GaussianMixture(2, covariance_type=name, weights_init=[0.5, 0.5], **start), X, 5)
    other = run(GaussianMixture(2, covariance_type=name, weights_init=[0.5, 0.5], **scaled), X * scale, 5)
    np.testing.assert_allclose(other.covariances_ / scale**2, plain.covariances_, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(other.volumes_ / scale**2, plain.volumes_, rtol=1e-10)


@pytest.mark.parametrize("name", SHARED)
def test_covariances_of_another_structure_are_refused(name):
    X = overlapping()
    model = run(GaussianMixture(2, covariance_type=name, random_state=0), X, 3)
    free = run(GaussianMixture(2, random_state=0), X, 3)
    model.covariances_, model.precisions_cholesky_ = free.covariances_, free.precisions_cholesky_
    with pytest.raises(ValueError, match=f"covariances_ are not of the structure {name}: the"):
        model.predict(X)
    with pytest.raises(ValueError, match=f"inverses of precisions_init are not of the structure {name}: the"):
        GaussianMixture(2, covariance_type=name, precisions_init=free.precisions_).fit(X)
    with pytest.raises(ValueError, match="symmetric, positive-definite"):
        GaussianMixture(2, covariance_type=name, precisions_init=-free.precisions_).fit(X)


@pytest.mark.parametrize("name", NAMES)
def test_covariances_may_be_set_by_hand_without_their_factors(name, rng):
    X = overlapping()
    model = run(GaussianMixture(2, covariance_type=name, random_state=0), X, 3)
    model.covariances_ = random_covariances(name, 2, 3, rng)
    del model.precisions_cholesky_
    expected = Structured(name, model.weights_, model.means_, model.covariances_)
    joint = np.column_stack([np.log(model.weights_[k]) + expected.log_component(X, k) for k in range(2)])
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=1e-10)


@pytest.mark.parametrize("name", SHARED)
def test_covariances_that_share_something_are_fixed_together(name):
    X = overlapping()
    start = run(GaussianMixture(2, covariance_type=name, random_state=0), X, 3)
    some = {"covariances": [True, False]}
    model = GaussianMixture(2, covariance_type=name, precisions_init=start.precisions_, fixed=some)
    with pytest.raises(ValueError, match="must be True for all components"):
        model.fit(X)
    model = run(model.set_params(fixed="covariances"), X, 5)
    np.testing.assert_allclose(model.covariances_, start.covariances_, rtol=1e-8, atol=1e-10)
    assert model.n_parameters_ == 7


@pytest.mark.parametrize("name", NAMES)
def test_float32_rounds_a_structure_and_goes_on(name, tmp_path):
    X = overlapping().astype(np.float32)
    model = run(GaussianMixture(2, covariance_type=name, random_state=0, warm_start=True), X, 4)
    attributes = ("covariances_", "volumes_", "shapes_", "orientations_", "precisions_")
    assert all(getattr(model, attribute).dtype == np.float32 for attribute in attributes)
    model.save(tmp_path / "model.json")
    for other in (load(tmp_path / "model.json"), pickle.loads(pickle.dumps(model))):
        for attribute in attributes:
            np.testing.assert_array_equal(getattr(other, attribute), getattr(model, attribute))
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = model.lower_bound_
    assert run(model, X, 4).lower_bound_ >= before - 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_columns_have_the_structure_that_they_must_have(name):
    X = overlapping(n_features=4)
    model = run(GaussianMixture(2, covariance_type=name, random_state=0), X, 4)
    full = GaussianMixture(2).set_params(covariance_type="full")
    full.__dict__.update({k: v for k, v in vars(model).items() if k.endswith("_") and k != "precisions_cholesky_"})
    kept = {"EVI": "VVI", **dict.fromkeys((*SHARING_AXES, "EEV", "VEV", "EVV"), "VVV")}.get(name, name)
    for some, other in (
        (model.marginal([2, 0]), full.marginal([2, 0])),
        (model.conditional({1: 0.5}), full.conditional({1: 0.5})),
        (model.marginal([1, 2, 3]).conditional({0: 0.5}), full.marginal([1, 2, 3]).conditional({0: 0.5})),
    ):
        assert some.covariance_type == kept
        np.testing.assert_allclose(some.covariances_, other.covariances_, rtol=1e-9, atol=1e-12)
        assert some.volumes_.shape == (2,)
        columns = some.n_features_in_
        np.testing.assert_allclose(some.score_samples(X[:, :columns]), other.score_samples(X[:, :columns]), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_prior_keeps_components_of_single_rows(name):
    X = np.vstack([overlapping(100), [[50.0, 50.0, 50.0]]])
    labels = np.append(np.zeros(100, dtype=int), 1)
    for prior in ("conjugate", NormalInverseWishart(mean_strength=0.5)):
        model = GaussianMixture(2, covariance_type=name, init_params=labels, reg_covar=0.0, prior=prior)
        run(model, X, 8)
        assert model.weights_.min() == pytest.approx(1 / 101, rel=0.01)
        assert min(np.diff(model.lower_bounds_)) > -1e-12
    scales = {"I": np.ones(3)} if name not in ("EII", "VII") else {"I": 1.0}
    scale = scales.get(name[2], np.eye(3))
    run(model.set_params(prior=NormalInverseWishart(scale=scale)), X, 2)
    wrong = np.eye(2)
    with pytest.raises(ValueError, match="prior's scale must have the shape"):
        model.set_params(prior=NormalInverseWishart(scale=wrong)).fit(X)


@pytest.mark.parametrize("name", NAMES)
def test_components_that_collapse_are_said_to(name):
    X = np.vstack([overlapping(100), [[50.0, 50.0, 50.0]]])
    X[:, 2] = 1.0
    model = GaussianMixture(2, covariance_type=name, reg_covar=0.0, random_state=0)
    if name in ("EII", "VII"):  # other columns keep their only variance above zero
        assert np.isfinite(run(model, X, 5).score(X))
        return
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        model.fit(X)
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize("name", NAMES)
def test_rows_far_away_belong_to_a_background(name, rng):
    X = np.vstack([overlapping(400), rng.uniform(-40, 40, size=(60, 3))])
    model = GaussianMixture(2, covariance_type=name, background=True, random_state=0, max_iter=300).fit(X)
    assert 0.08 < model.weights_[-1] < 0.2
    assert min(np.diff(model.lower_bounds_)) > -1e-12


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learn_takes_a_structure_for_full_covariances(name):
    X = overlapping()
    model = run(GaussianMixture(2, covariance_type=name, random_state=0), X, 4)
    theirs = model.to_sklearn()
    assert theirs.covariance_type == "full"
    np.testing.assert_allclose(theirs.score_samples(X), model.score_samples(X), rtol=1e-10)
    np.testing.assert_array_equal(from_sklearn(theirs).predict(X), model.predict(X))


def test_hooks_of_scikit_learn_set_the_decomposition_too():
    X = overlapping()
    model = run(GaussianMixture(2, covariance_type="VEV", random_state=0), X, 4)
    other = GaussianMixture(2, covariance_type="VEV")
    other._set_parameters(model._get_parameters())
    np.testing.assert_allclose(other.volumes_, model.volumes_, rtol=1e-12)


def test_names_are_the_same_everywhere():
    assert tuple(STRUCTURES) == NAMES
    assert FACES["GaussianMixture"].forms == (*FORMS, *NAMES)
    with pytest.raises(ValueError, match="covariance_type"):
        GaussianMixture(covariance_type="VIV").fit(overlapping())
