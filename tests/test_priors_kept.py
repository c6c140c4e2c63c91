"""Priors in streams, files, copies and parts of models, and errors for wrong ones."""

import pickle

import numpy as np
import pytest
from fits import model_at, run
from models import failure, parameters_of
from posterior import default_prior, log_posterior
from reference import GAUSSIAN_FAMILIES, rows_for
from sklearn.base import clone
from strong_priors import ALPHA, K, problem_of, strong_prior

from fastem import GaussianMixture, NormalInverseWishart, PoissonMixture, load
from fastem.em.problem import Problem
from fastem.persistence.checkpoint import CheckpointError


def test_a_stream_has_the_prior_of_its_first_batch():
    X, start = problem_of("full", 1200)
    model = model_at(start, prior="conjugate", weights_prior=2.0)
    parts = np.array_split(X, 6)
    default = default_prior("full", parts[0], K)
    written = NormalInverseWishart(default.mean, default.strength, default.degrees, default.scale)
    other = model_at(start, prior=written, weights_prior=2.0)
    for i, part in enumerate(parts):
        before = start if i == 0 else parameters_of("full", model)
        model.partial_fit(part)
        other.partial_fit(part)
        log_prior = log_posterior(X[:0], before, None, default, [2.0] * K)
        likelihood = log_posterior(part, before, None, default, [2.0] * K) - log_prior
        assert model.lower_bound_ == pytest.approx(likelihood / len(part) + log_prior / (200 * (i + 1)), rel=1e-9)
    np.testing.assert_allclose(model.covariances_, other.covariances_, rtol=1e-9)
    alone = GaussianMixture(2, prior="conjugate", reg_covar=0, means_init=[[0.0] * 3, [1e3] * 3], random_state=0)
    for part in parts:
        alone.partial_fit(part)
    assert np.isfinite(alone.lower_bound_)


def test_files_copies_and_checkpoints_know_of_it(tmp_path):
    X, start = problem_of("full")
    model = run(model_at(start, weights_prior=np.array(ALPHA), prior=strong_prior("full")), X, 4)
    model.save(tmp_path / "model.json")
    loaded = load(tmp_path / "model.json")
    assert loaded.prior == model.prior
    assert isinstance(loaded.prior, NormalInverseWishart)
    for copy in (clone(loaded), pickle.loads(pickle.dumps(model)), clone(model)):
        np.testing.assert_array_equal(run(copy, X, 4).covariances_, model.covariances_)


def test_a_fit_that_was_broken_off_goes_on_under_its_prior(tmp_path, monkeypatch):
    X, start = problem_of("full")
    path, maximise, steps = tmp_path / "run.ckpt", Problem.maximise, iter(range(5))
    whole = run(model_at(start, prior="conjugate", weights_prior=2.0), X, 9)
    part = model_at(start, prior="conjugate", weights_prior=2.0, max_iter=9, tol=0.0)

    def fail(*arguments):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return maximise(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Problem, "maximise", fail)
        with pytest.raises(KeyboardInterrupt):
            part.fit(X, checkpoint=path)
    for other in ({"prior": strong_prior("full")}, {"prior": None}, {"weights_prior": 3.0}):
        with pytest.raises(CheckpointError, match="prior"):
            clone(part).set_params(**other).fit(X, checkpoint=path, resume=True)
    with pytest.warns(match="did not converge"):
        resumed = clone(part).fit(X, checkpoint=path, resume=True)
    assert resumed.lower_bounds_ == whole.lower_bounds_
    np.testing.assert_array_equal(resumed.covariances_, whole.covariances_)


@pytest.mark.parametrize("family", GAUSSIAN_FAMILIES)
def test_parts_of_a_mixture_can_be_fitted_again(family):
    X, start = problem_of(family)
    part = run(model_at(start, prior=strong_prior(family), weights_prior=ALPHA), X, 3).marginal([0, 2])
    assert part.prior == NormalInverseWishart(mean_strength=7.0, degrees_of_freedom=31.5)
    assert np.isfinite(clone(part).set_params(random_state=0, tol=1.0).fit(X[:, [0, 2]]).lower_bound_)


def test_wrong_arguments():
    X, start = problem_of("full")
    prior = NormalInverseWishart
    for message, given in {
        r"mean must have the shape \(3,\), not \(2,\)": prior(mean=[0.0, 0.0]),
        "mean must be finite": prior(mean=[0.0, 0.0, np.nan]),
        r"scale must have the shape \(3, 3\), not \(3,\)": prior(scale=np.ones(3)),
        "scale must be symmetric and positive definite": prior(scale=np.diag([1.0, 1.0, -1.0])),
        "scale must be symmetric and": prior(scale=[[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]),
        "mean_strength must be a number, at least 0, not -1": prior(mean_strength=-1),
        "mean_strength must be a number, at least 0, not None": prior(mean_strength=None),
        "degrees_of_freedom must be a number above 2 for 3 features": prior(degrees_of_freedom=2),
        "The 'prior' parameter of GaussianMixture must be": "flat",
    }.items():
        with pytest.raises(ValueError, match=message):
            model_at(start, prior=given).fit(X)
    for family, message in {"diag": r"the shape \(3,\)", "spherical": r"the shape \(\)"}.items():
        with pytest.raises(ValueError, match=message):
            GaussianMixture(covariance_type=family, prior=prior(scale=np.eye(3))).fit(X)
        with pytest.raises(ValueError, match="scale must be positive"):
            GaussianMixture(covariance_type=family, prior=prior(scale=np.zeros(3 if family == "diag" else ()))).fit(X)
        with pytest.raises(ValueError, match="a number above 0 for 3 features"):
            GaussianMixture(covariance_type=family, prior=prior(degrees_of_freedom=0)).fit(X)
    for alpha, message in {
        0.5: "at least 1",
        (1.0, 2.0): r"3: one for each.*\(2,\)",
        (1.0, 0.9, 2.0): "no mode",
    }.items():
        for model in (GaussianMixture(3), PoissonMixture(3)):
            with pytest.raises(ValueError, match=message):
                model.set_params(weights_prior=alpha).fit(abs(X).round())


def test_a_scale_is_asked_for_where_the_data_have_none():
    X = np.column_stack([rows_for("full", 50, 2), np.ones(50)])
    options = {"n_components": 2, "reg_covar": 0, "random_state": 0}
    assert "give prior=NormalInverseWishart(scale=...)" in failure(GaussianMixture(prior="conjugate", **options), X)
    GaussianMixture(prior=NormalInverseWishart(scale=np.eye(3)), **options).fit(X)
    GaussianMixture(2, prior="conjugate", random_state=0).fit(X)  # reg_covar is a scale too
