"""StudentTMixture with a background for outliers that belong to no tail, against a naive reference."""

from dataclasses import replace

import numpy as np
import pytest
from fits import fall, run
from incomplete import holes
from reference import GAUSSIAN_FAMILIES
from reference_student_t_missing import PartialStudent

from fastem import StudentTMixture, load

pytestmark = pytest.mark.slow
WEIGHTS = np.array([0.4, 0.4, 0.2])
forms = pytest.mark.parametrize("form", GAUSSIAN_FAMILIES)
missing = pytest.mark.parametrize("share", [0.0, 0.3])


def problem(form, df, share=0.0, n_rows=120):
    """Two groups of t rows and uniform ones, a start, and the box of the rows."""
    rng = np.random.default_rng(0)
    groups = [rng.standard_t(6, size=(n_rows, 2)) + shift for shift in (0.0, 7.0)]
    X = np.vstack([*groups, rng.uniform(-30, 30, size=(n_rows // 4, 2))])
    start = PartialStudent.at(form, df if isinstance(df, str) else "fixed", X, [[0.5, 0], [6, 7]], 30.0)
    start = replace(start, df=np.full(2, 30.0) if isinstance(df, str) else np.full(2, df), weights=WEIGHTS[:2])
    return (holes(X, rng, share) if share else X), start


def model_at(start, df, **options):
    given = {"weights_init": WEIGHTS, "means_init": start.means, "scales_init": start.scales}
    options = {"background": True, "reg_covar": 0.0, "missing": "marginalize", **options}
    return StudentTMixture(2, covariance_type=start.form, df=df, **given, **options)


def log_joint(X, start, weights):
    """Joint log-densities (n, 3) of two components and the background, uniform in the box of the observed columns."""
    widths = np.nanmax(X, axis=0) - np.nanmin(X, axis=0)
    components = [start.log_component(X, k) for k in range(2)]
    return np.log(weights) + np.column_stack([*components, -((~np.isnan(X)) @ np.log(widths))])


@forms
@missing
@pytest.mark.parametrize("df", ["shared", "component", 5.0], ids=str)
def test_steps_are_the_naive_ones(form, df, share):
    X, start = problem(form, df, share)
    weights, first = WEIGHTS, start
    for n_iter in range(1, 5):
        joint = log_joint(X, start, weights)
        densities = np.logaddexp.reduce(joint, axis=1)
        mass = np.exp(joint - densities[:, None])
        start, weights = start.maximise(X, mass[:, :2]), mass.sum(axis=0) / len(X)
        model = run(model_at(first, df), X, n_iter)
        assert model.lower_bound_ == pytest.approx(densities.mean(), rel=1e-10)
        np.testing.assert_allclose(model.weights_, weights, atol=1e-9)
        np.testing.assert_allclose(model.means_, start.means, atol=1e-8)
        np.testing.assert_allclose(model.scales_, start.scales, atol=1e-8)
        np.testing.assert_allclose(model.df_, start.df, rtol=1e-8)


@forms
@missing
@pytest.mark.parametrize("df", ["shared", "component"], ids=str)
def test_the_likelihood_never_falls(form, df, share):
    X, start = problem(form, df, share)
    for options in ({}, {"acceleration": "squarem"}, {"acceleration": "anderson"}):
        model = run(model_at(start, df, **options), X, 60)
        assert fall(model.lower_bounds_) < 1e-13


@forms
def test_outliers_are_labelled_and_saved_models_label_them_too(form, tmp_path):
    X, _ = problem(form, "shared")
    model = StudentTMixture(2, covariance_type=form, background=True, random_state=0).fit(X)
    labels = model.predict(X)
    assert (labels[:240] == -1).mean() < 0.05
    assert (labels[240:] == -1).mean() > 0.7
    path = tmp_path / "model.json"
    model.save(path)
    np.testing.assert_array_equal(load(path).predict(X), labels)
    assert (model.sample(500)[1] == -1).mean() == pytest.approx(model.weights_[-1], abs=0.05)


@forms
def test_regression_mixes_components_and_the_box(form):
    X, _ = problem(form, 5.0)
    model = StudentTMixture(2, covariance_type=form, df=5.0, background=True, random_state=0).fit(X)
    mean, variance = model.regress(X[:20, [0]], 1)
    share = model.marginal([0]).predict_proba(X[:20, [0]])
    low, high = model.background_[:, 1]
    matrices = PartialStudent(form, "fixed", model.weights_, model.means_, model.scales_, model.df_).matrices()
    residual = X[:20, :1] - model.means_[:, 0]
    slope, within = matrices[:, 1, 0] / matrices[:, 0, 0], matrices[:, 0, 0]
    centres = np.column_stack([model.means_[:, 1] + residual * slope, np.full(20, (low + high) / 2)])
    inflation = (5 + residual**2 / within) / 6 * 6 / 4  # given one column, df is 6: variance df / (df - 2)
    spread = np.column_stack(
        [(matrices[:, 1, 1] - slope * matrices[:, 1, 0]) * inflation, np.full(20, (high - low) ** 2 / 12)]
    )
    expected = (share * centres).sum(axis=1)
    np.testing.assert_allclose(mean, expected, rtol=1e-9)
    around = (share * (spread + (centres - expected[:, None]) ** 2)).sum(axis=1)
    np.testing.assert_allclose(variance, around, rtol=1e-9)


def test_a_volume_is_no_box_and_errors_of_measurement_are_refused():
    X, start = problem("full", 5.0, 0.3)
    with pytest.raises(ValueError, match="volume"):
        model_at(start, 5.0, background=100.0).fit(X)
    with pytest.raises(ValueError, match="StudentTMixture"):
        model_at(start, 5.0).fit(X, noise=np.ones(X.shape))
    assert not hasattr(StudentTMixture, "denoise")
