"""Missing values, errors and labels with weights, threads, chunks, files, interrupted fits and streams."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import reference_incomplete as naive
import sklearn
from breaks import Killed, bits, killed_after
from fits import model_at, run
from incomplete import holes, incomplete_rows, marginal
from models import assert_close, learned, parameters_of
from reference import FAMILIES, rows_for, start_at

from fastem import GaussianMixture, Incremental, PoissonMixture, Source, Stepwise, load
from fastem.data import ArraySource, Mixture, PatternSource
from fastem.data.patterns import find_patterns
from fastem.data.row_info import NOTHING
from fastem.em.problem import Problem
from fastem.families import get_family
from fastem.families._contract import Prior

pytestmark = pytest.mark.slow


def everything(n_rows=300, seed=0):
    """Rows with missing values, a start, and the rows' noise and labels."""
    rng = np.random.default_rng(seed)
    X = rows_for("full", n_rows)
    start = start_at("full", X, X[:2] + 0.5)
    labels = np.where(rng.uniform(size=n_rows) < 0.2, rng.integers(2, size=n_rows), -1)
    return holes(X, rng, 0.2), start, {"noise": rng.uniform(size=X.shape), "labels": labels}


# Patterns


@pytest.mark.parametrize("n_columns", [3, 70])
@pytest.mark.parametrize("family", ["full", "tied"])
def test_patterns_rare_and_common_give_the_statistics_of_rows_one_by_one(family, n_columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, n_columns))
    common = rng.uniform(size=(5, n_columns)) < 0.3
    missing = np.vstack([np.repeat(common, 160, axis=0), rng.uniform(size=(100, n_columns)) < 0.5])
    missing[-3:] = True
    X[missing] = np.nan
    X, weights = X[rng.permutation(900)], rng.uniform(size=900)
    base = get_family(f"gaussian-{family}")
    varied = get_family(f"gaussian-{family}.incomplete")
    mixture = Mixture(
        np.array([0.3, 0.7]), base.params_at(rng.normal(size=(2, n_columns)), np.full((2, n_columns), 2.0))
    )
    patterns = find_patterns(X, weights, NOTHING, np.zeros(n_columns))
    assert 50 <= len(patterns.rest) < 400
    assert sum(len(group.values) for group in patterns.groups) + len(patterns.rest) == 900
    sweeps = [Problem(varied, kind(X, weights), Prior()).expect(mixture) for kind in (PatternSource, ArraySource)]
    np.testing.assert_allclose(sweeps[0].stats, sweeps[1].stats, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(sweeps[0].mass, sweeps[1].mass, rtol=1e-10)
    assert sweeps[0].log_likelihood == pytest.approx(sweeps[1].log_likelihood, rel=1e-10)


# Weights


@pytest.mark.parametrize("family", FAMILIES)
def test_a_weight_is_a_number_of_rows(family):
    X, start = incomplete_rows(family, 200)
    counts = np.arange(200) % 3
    weighted = run(marginal(start), X, 6, counts)
    assert_close(run(marginal(start), np.repeat(X, counts, axis=0), 6), weighted, 1e-9)
    assert_close(run(marginal(start), X[counts > 0], 6, counts[counts > 0]), weighted, 1e-9)
    for value in (0.0, 1e300, np.finfo(float).max):
        absent = np.where(np.isnan(X), np.nan, value)
        more = np.vstack([X, absent])
        model = run(marginal(start), more, 6, np.concatenate([counts, np.zeros(200)]))
        assert_close(model, weighted, 1e-9)
        assert model.bic(more, sample_weight=np.r_[counts, np.zeros(200)]) == pytest.approx(
            weighted.bic(X, sample_weight=counts), rel=1e-9
        )


def test_weights_labels_and_errors_of_repeated_rows():
    X, start, known = everything()
    counts = np.arange(300) % 3
    weighted = run(marginal(start), X, 6, counts, **known)
    repeated = {name: np.repeat(array, counts, axis=0) for name, array in known.items()}
    assert_close(run(marginal(start), np.repeat(X, counts, axis=0), 6, **repeated), weighted, 1e-9)


# Types, threads, chunks


@pytest.mark.parametrize("family", ["full", "diag", "poisson"])
def test_float32_order_and_threads(family, monkeypatch):
    monkeypatch.setattr("fastem.engine.executor.PARALLEL_WORK", 0)  # threads are used for any number of rows
    X, start = incomplete_rows(family, 30_000)
    model = run(marginal(start, n_jobs=1), X, 3)
    assert_close(run(marginal(start, n_jobs=2), X, 3), model)
    assert_close(run(marginal(start), np.asfortranarray(X), 3), model)
    single = run(marginal(start), X.astype(np.float32), 3)
    assert_close(single, model, 2e-3)
    assert single.score_samples(X.astype(np.float32)).dtype == np.float32


def test_threads_with_everything(monkeypatch):
    monkeypatch.setattr("fastem.engine.executor.PARALLEL_WORK", 0)
    X, start, known = everything(9000)
    model = run(marginal(start, n_jobs=1), X, 3, **known)
    assert_close(run(marginal(start, n_jobs=2), X, 3, **known), model)


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_are_one_array(family):
    X, start = incomplete_rows(family, 600)
    whole = run(marginal(start), X, 5)
    source, other = (Source(np.array_split(X, n), chunk_bytes=4000) for n in (7, 3))
    chunked = run(marginal(start), source, 5)
    assert_close(chunked, whole, 1e-10)
    assert_close(run(marginal(start), other, 5), chunked)
    assert (chunked.score_samples(other) == chunked.score_samples(X)).all()
    assert chunked.bic(source) == pytest.approx(chunked.bic(X), rel=1e-12)
    X[:400] = np.nan_to_num(X[:400], nan=1.0)  # the first chunks are complete
    assert_close(run(marginal(start), Source(np.array_split(X, 6)), 5), run(marginal(start), X, 5), 1e-10)
    kind = PoissonMixture if family == "poisson" else GaussianMixture
    started = [kind(2, missing="marginalize", random_state=0) for _ in range(2)]
    assert_close(run(started[0], source, 3), run(started[1], X, 3), 1e-9)


def test_fits_beside_each_other_do_not_meet():
    problems = [incomplete_rows("full", 300, seed=seed) for seed in range(6)]

    def fit(problem):
        X, start = problem
        return marginal(start, max_iter=500).fit(X)

    with ThreadPoolExecutor(2) as pool:
        models = list(pool.map(fit, problems))
    for model, problem in zip(models, problems, strict=True):
        assert_close(model, fit(problem))


def test_a_source_without_anything_missing_is_the_plain_fit():
    X = rows_for("full", 300)
    start = start_at("full", X, X[:2] + 0.5)
    source = Source(np.array_split(X, 3))
    assert_close(run(marginal(start), source, 5), run(model_at(start), source, 5))


# Checkpoints, files and streams


@pytest.mark.parametrize(
    "options", [{}, {"algorithm": Incremental(3)}, {"algorithm": "stochastic"}, {"acceleration": "squarem"}], ids=str
)
@pytest.mark.parametrize("errors", [False, True])
def test_a_fit_that_is_resumed_has_the_same_bits(options, errors, tmp_path, monkeypatch):
    X, start, known = everything()
    known = known if errors else {"labels": known["labels"]}
    path = tmp_path / "run.ckpt"

    def fit(**more):
        return run(marginal(start, random_state=0, **options), X, 10, **known, **more)

    expected = bits(fit())
    for n_writings in (1, 4):
        path.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            killed_after(n_writings, patch)
            with pytest.raises(Killed):
                fit(checkpoint=path)
        assert bits(fit(checkpoint=path, resume=True)) == expected


def test_a_checkpoint_knows_what_it_is_of(tmp_path, monkeypatch):
    X, start, known = everything()
    path = tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            run(marginal(start), X, 10, checkpoint=path, **known)
    changed = [
        {**known, "labels": np.full(300, -1)},
        {**known, "noise": known["noise"] * 1.5},
        {"noise": known["noise"]},
        {**known, "projection": np.eye(3)},
    ]
    for other in changed:
        with pytest.raises(ValueError, match="fingerprint of X"):
            run(marginal(start), X, 10, checkpoint=path, resume=True, **other)


def test_copies_and_files(tmp_path):
    X, start, known = everything()
    model = run(marginal(start), X, 3, **known)
    model.save(tmp_path / "model.json")
    for copy in (load(tmp_path / "model.json"), pickle.loads(pickle.dumps(model))):
        assert copy.missing == "marginalize"
        assert (copy.score_samples(X) == model.score_samples(X)).all()
        assert (copy.impute(X) == model.impute(X)).all()
    assert sklearn.clone(model).missing == "marginalize"


def test_a_warm_start_goes_on():
    X, start, known = everything()
    once = run(marginal(start), X, 6, **known)
    twice = run(marginal(start, warm_start=True), X, 3, **known)
    assert_close(run(twice, X, 3, **known), once, 1e-8)


@pytest.mark.parametrize("kind", ["missing", "everything"])
def test_a_stream_of_batches(kind):
    X, start, known = everything(600)
    known = known if kind == "everything" else {}
    model, parts = marginal(start), np.array_split(np.arange(600), 6)
    chunks = [{"X": X[part], **{name: array[part] for name, array in known.items()}} for part in parts]
    for chunk in chunks:
        model.partial_fit(**chunk)
    assert model.n_iter_ == 6
    assert model.score(X) > run(marginal(start), X, 1).lower_bound_ + 0.1
    one_pass = run(marginal(start, algorithm=Stepwise(100)), Source(chunks, chunk_bytes=100 * 3 * 8), 1)
    assert_close(model, one_pass, 1e-12)
    whole = marginal(start).partial_fit(X, **known)
    assert_close(whole, run(marginal(start, algorithm=Stepwise(600)), X, 1, **known), 1e-10)
    assert_close(whole, run(marginal(start), X, 1, **known), 1e-9)


def test_batches_may_differ_in_what_is_known(rng):
    """The result is that of batches that are all given noise, projections and labels, even ones that say nothing."""
    X = rows_for("full", 400)
    start = start_at("full", X, X[:2] + 0.5)
    short, long = marginal(start), marginal(start)
    for rows, known in (
        (X[:100], {}),
        (holes(X[100:200], rng), {}),
        (X[200:300], {"noise": np.ones((100, 3))}),
        (np.full((5, 3), np.nan), {"labels": [0, 1, -1, -1, 0]}),
        (X[300:], {"noise": np.ones((100, 3)), "projection": np.eye(3)}),
    ):
        nothing = {"noise": np.zeros(rows.shape), "projection": np.eye(3), "labels": np.full(len(rows), -1)}
        short.partial_fit(rows, **known)
        long.partial_fit(rows, **{**nothing, **known})
        assert_close(short, long, 1e-9)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_start(family, init_params):
    """The fit ends at a fixed point of EM. All starts but "random" find two groups that are far apart."""
    X = rows_for(family, 400, 4) + 100.0 * (np.arange(400) % 2)[:, None]
    X = holes(X, np.random.default_rng(0), 0.3)
    kind = PoissonMixture if family == "poisson" else GaussianMixture
    options = {} if family == "poisson" else {"covariance_type": family}
    model = kind(
        2, missing="marginalize", init_params=init_params, n_init=5, max_iter=1000, tol=1e-8, random_state=0, **options
    ).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-10
    rows, reached = naive.Rows(X), parameters_of(family, model)
    assert naive.score_samples(rows, naive.em_step(rows, reached)).mean() == pytest.approx(model.score(X), abs=1e-6)
    low, high = np.sort(model._locations().mean(axis=1))
    if init_params == "random":
        assert low < X[np.isfinite(X)].mean() < high, "neither component is alone"
    else:
        np.testing.assert_allclose(high - low, 100.0, atol=10.0)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_start_has_a_value_of_a_column_that_few_rows_see(init_params, chunked, weighted, rng):
    X = rng.normal(size=(3000, 3)) + 5 * rng.integers(2, size=(3000, 1))
    X[:, 2] = np.nan
    X[2001, 2] = 1e6  # a sample of 50 rows does not hold it
    weights = np.ones(3000) if weighted else None
    if weighted:
        X[1001, 2], weights[1001] = -1e9, 0.0  # a row of weight zero is absent
    model = GaussianMixture(
        2, missing="marginalize", init_params=init_params, init_size=50, random_state=0, max_iter=200
    )
    if not chunked:
        model.fit(X, sample_weight=weights)
    else:
        parts = [slice(start, start + 1000) for start in range(0, 3000, 1000)]
        model.fit([(X[part], weights[part]) if weighted else X[part] for part in parts])
    np.testing.assert_allclose(model.means_[:, 2], 1e6, rtol=1e-3)
    assert np.isfinite(model.lower_bound_)


# Errors


@pytest.mark.parametrize("kind", [GaussianMixture, PoissonMixture])
def test_wrong_values_are_named(kind):
    X = np.abs(rows_for("poisson", 50))
    model = kind(missing="marginalize").fit(X)
    before = learned(model)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        kind().fit(X)
    with pytest.raises(ValueError, match="contains NaN"):
        kind().fit(np.nan_to_num(X)).predict(X)
    infinite = X.copy()
    infinite[5, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.fit(infinite)
    with pytest.raises(ValueError, match="infinit"):
        model.fit(Source([infinite]))
    gone = X.copy()
    gone[:, [0, 2]] = np.nan
    frame = pd.DataFrame(gone, columns=["a", "b", "c"])
    for data, message in (
        (gone, "columns 0, 2 of X"),
        (frame, "columns 'a', 'c' of X"),
        (Source([gone]), "columns 0, 2"),
    ):
        with pytest.raises(ValueError, match=f"all values are missing in {message}"):
            kind(missing="marginalize").fit(data)
    X[10:, 1] = np.nan  # all observed values of column 1 have weight zero
    with pytest.raises(ValueError, match="all values are missing in column 1 of X"):
        model.fit(X, sample_weight=(np.arange(50) >= 10) * 1.0)
    with pytest.raises(ValueError, match="'missing' parameter of"):
        kind(missing="impute").fit(X)
    assert all(learned(model)[name] is value for name, value in before.items())
