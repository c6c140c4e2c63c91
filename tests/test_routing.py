"""scikit-learn's metadata routing: noise, projections, labels and weights reach fits inside meta-estimators."""

import numpy as np
import pytest
import sklearn
from models import difference
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline

from fastem import GaussianMixture

N_ROWS, D = 240, 2
FOLDS = KFold(3)


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def rows(rng):
    """Rows, and their noise, projections, labels and weights."""
    values = rng.normal(size=(N_ROWS, D)) + 4.0 * rng.integers(2, size=(N_ROWS, 1))
    noise, projection = rng.random((N_ROWS, D)), np.eye(D) + 0.1 * rng.normal(size=(N_ROWS, D, D))
    labels = np.where(rng.random(N_ROWS) < 0.2, values[:, 0] > 2.0, -1).astype(np.int64)
    return values, {"noise": noise, "projection": projection, "labels": labels, "sample_weight": rng.random(N_ROWS)}


def model(**options):
    return GaussianMixture(2, random_state=0, **options)


def asking(estimator, *, score=(), predict=(), fit=()):
    """An estimator that asks for metadata of these names."""
    estimator.set_fit_request(**dict.fromkeys(fit, True))
    estimator.set_score_request(**dict.fromkeys(score, True))
    return estimator.set_predict_request(**dict.fromkeys(predict, True)) if predict else estimator


@pytest.mark.parametrize("names", [["noise"], ["noise", "projection"], ["noise", "sample_weight"], ["labels"]])
def test_what_is_known_of_rows_is_split_with_them(names, rows):
    X, known = rows
    known = {name: known[name] for name in names}
    of_scores = [name for name in names if name != "labels"]
    asked = asking(model(), fit=names, score=of_scores)
    found = cross_validate(asked, X, params=known, cv=FOLDS, return_estimator=True)
    for (train, test), fitted, score in zip(FOLDS.split(X), found["estimator"], found["test_score"], strict=True):
        expected = model().fit(X[train], **{name: array[train] for name, array in known.items()})
        assert difference(fitted, expected) == 0.0
        assert score == expected.score(X[test], **{name: known[name][test] for name in of_scores})


def test_a_search_routes_what_is_known_to_fits_and_scores(rows):
    X, known = rows
    noise = {"noise": known["noise"]}
    search = GridSearchCV(asking(model(), fit=noise, score=noise), {"n_components": [1, 2]}, cv=FOLDS)
    search.fit(X, **noise)
    assert search.best_params_ == {"n_components": 2}
    assert difference(search.best_estimator_, model().fit(X, **noise)) == 0.0


def test_a_pipeline_routes_what_is_known_to_its_last_step(rows):
    X, known = rows
    given = {name: known[name] for name in ("noise", "projection")}
    pipeline = make_pipeline("passthrough", asking(model(), fit=given, score=given, predict=given))
    pipeline.fit(X, **given)
    expected = model().fit(X, **given)
    assert difference(pipeline[-1], expected) == 0.0
    assert pipeline.score(X, **given) == expected.score(X, **given)
    np.testing.assert_array_equal(pipeline.predict(X, **given), expected.predict(X, **given))


def test_what_nobody_has_asked_for_or_refused_is_an_error(rows):
    X, known = rows
    for name, array in known.items():
        with pytest.raises(UnsetMetadataPassedError, match=name):
            make_pipeline(model()).fit(X, **{name: array})


def test_a_clone_asks_for_the_same():
    asked = asking(model(), fit=["noise", "projection", "labels"], score=["noise"])
    assert clone(asked).get_metadata_routing().fit.requests == asked.get_metadata_routing().fit.requests
    assert asked.get_metadata_routing().fit.requests["projection"] is True
    assert asked.get_metadata_routing().score.requests["projection"] is None
