"""Labels, noise, projections and weights in a source's chunks: the fit is that of the same rows in one array."""

import numpy as np
import pytest
from fits import run
from models import difference

from fastem import GaussianMixture, Incremental, PoissonMixture, Source

N, D, K = 900, 3, 2
ENDS = [100, 101, 640]


@pytest.fixture
def rows(rng):
    """Rows of two groups, with weights, labels, noise and projections."""
    group = rng.integers(K, size=N)
    values = rng.normal(size=(N, D)) + 4.0 * group[:, None]
    roots = 0.3 * rng.normal(size=(N, D, D))
    return {
        "X": values,
        "sample_weight": rng.uniform(0.5, 2.0, size=N),
        "labels": np.where(rng.random(N) < 0.2, group, -1),
        "noise": roots @ np.swapaxes(roots, 1, 2),
        "projection": np.eye(D) + 0.1 * rng.normal(size=(N, D, D)),
    }


def chunks_of(rows, ends=ENDS):
    parts = {name: np.split(array, ends) for name, array in rows.items()}
    return [dict(zip(parts, chunk, strict=True)) for chunk in zip(*parts.values(), strict=True)]


def start(model):
    """Give the start: rows for a drawn one would come in another order from chunks than from an array."""
    means = np.array([np.zeros(D), np.full(D, 4.0)])
    return model.set_params(weights_init=[0.5, 0.5], means_init=means, precisions_init=[np.eye(D)] * K)


@pytest.mark.parametrize("names", [["labels"], ["noise"], ["noise", "labels", "sample_weight"], ["projection"]])
@pytest.mark.parametrize("algorithm", ["em", Incremental(3), "stepwise"])
def test_chunks_and_one_array_agree(rows, names, algorithm):
    kept = {name: rows[name] for name in ["X", *names]}
    options = {"algorithm": algorithm, "random_state": 0}
    source = Source(chunks_of(kept), chunk_bytes=24 * 100)
    streamed = run(start(GaussianMixture(K, **options)), source, 4)
    known = {name: array for name, array in kept.items() if name != "X"}
    whole = start(GaussianMixture(K, max_iter=4, tol=0.0, **options))
    with pytest.warns(match="did not converge"):
        whole.fit(kept["X"], **known)
    if algorithm == "em":
        assert difference(streamed, whole) < 1e-10
        assert abs(streamed.lower_bound_ - whole.lower_bound_) < 1e-10
    else:  # blocks or batches are cut differently
        assert difference(streamed, whole) < 0.05


def test_where_chunks_end_changes_no_bit(rows):
    fits = [
        run(GaussianMixture(K, random_state=0), Source(chunks_of(rows, ends), chunk_bytes=24 * 100), 5)
        for ends in (ENDS, [1, 2, 450])
    ]
    assert difference(*fits) == 0.0


def test_missing_values_in_chunks(rows, rng):
    X = np.where(rng.random((N, D)) < 0.3, np.nan, rows["X"])
    model = GaussianMixture(K, missing="marginalize", random_state=0)
    streamed = run(start(model), Source(np.split(X, ENDS), chunk_bytes=24 * 100), 6)
    whole = run(start(GaussianMixture(K, missing="marginalize")), X, 6)
    assert difference(streamed, whole) < 1e-10
    assert abs(streamed.score(np.split(X, ENDS)) - whole.score(X)) < 1e-12
    counts = np.where(np.isnan(X), np.nan, rng.poisson(3.0, size=X.shape))
    found = PoissonMixture(K, missing="marginalize", random_state=0).fit(np.split(counts, ENDS))
    assert np.isfinite(found.rates_).all()


def test_densities_of_chunks_know_their_errors(rows):
    model = GaussianMixture(K, random_state=0).fit(rows["X"], noise=rows["noise"])
    chunks = chunks_of({"X": rows["X"], "noise": rows["noise"]})
    expected = model.score_samples(rows["X"], noise=rows["noise"])
    np.testing.assert_allclose(model.score_samples(chunks), expected, rtol=1e-12)


def test_a_start_has_the_labels_of_the_rows(rows):
    labels = np.where(rows["labels"] >= 0, 1 - rows["labels"], -1)
    for options in ({}, {"init_size": 50}):
        model = GaussianMixture(K, random_state=0, **options).fit(chunks_of({"X": rows["X"], "labels": labels}))
        assert model.means_[0].mean() > model.means_[1].mean()


def test_columns_of_a_dataset(rows, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import dataset, parquet

    variances = np.einsum("nii->ni", rows["noise"])
    columns = {f"x{j}": rows["X"][:, j] for j in range(D)} | {f"v{j}": variances[:, j] for j in range(D)}
    label = pa.array([None if label < 0 else int(label) for label in rows["labels"]])
    parquet.write_table(pa.table({**columns, "label": label}), tmp_path / "rows.parquet")
    data = dataset.dataset(tmp_path / "rows.parquet")
    source = Source(data, label="label", noise=["v0", "v1", "v2"])
    assert next(source.chunks())[1].frame.schema.names == ["x0", "x1", "x2"]
    found = run(start(GaussianMixture(K)), source, 3)
    chunks = [{"X": rows["X"], "noise": variances, "labels": rows["labels"]}]
    assert difference(found, run(start(GaussianMixture(K)), chunks, 3)) < 1e-12
    with pytest.raises(ValueError, match="noise names 1 columns of variances, where there are 5"):
        Source(data, label="label", noise=["v0"])


def test_what_is_wrong_is_named(rows):
    def failure(change, index=1):
        chunks = chunks_of({"X": rows["X"], "labels": rows["labels"], "noise": rows["noise"]})
        change(chunks[index])
        with pytest.raises(ValueError, match=r"\w") as error:
            GaussianMixture(K).fit(chunks)
        return str(error.value)

    def outside(chunk):
        chunk["labels"] = np.full(len(chunk["X"]), 7)

    def asymmetric(chunk):
        chunk["noise"] = chunk["noise"] + np.triu(np.ones((D, D)), 1)

    assert "labels holds 7 in row 0 of chunk 1" in failure(outside)
    assert failure(asymmetric).startswith("chunk 1: noise is not symmetric in row 0")
    assert "chunk 1 has other noise" in failure(lambda chunk: chunk.pop("noise"))
    assert "chunk 0 is a mapping without X" in failure(lambda chunk: chunk.pop("X"), 0)
    assert "with 'label': it has" in failure(lambda chunk: chunk.update(label=1), 0)
    with pytest.raises(ValueError, match="labels goes with an array: a source yields it with its chunks"):
        GaussianMixture(K).fit([rows["X"]], labels=rows["labels"])


@pytest.mark.parametrize("names", [["labels"], ["noise"], ["labels", "noise", "sample_weight"], ["projection"]])
def test_a_prior_s_defaults_are_moments_of_all_chunks(rows, names):
    """They are moments of the values without errors, in any units, and of all rows, whatever their labels."""
    scale = 2.0**-40
    kept = {name: rows[name] * (scale if name == "X" else scale**2 if name == "noise" else 1) for name in ["X", *names]}
    options = {"n_components": K, "prior": "conjugate", "reg_covar": 0.0, "random_state": 0}
    source = Source(chunks_of(kept), chunk_bytes=24 * 100)
    precisions = [np.eye(D) / scale**2] * K
    given = {"weights_init": [0.5, 0.5], "means_init": [np.zeros(D), np.full(D, 4.0 * scale)]}
    streamed = run(GaussianMixture(precisions_init=precisions, **given, **options), source, 4)
    known = {name: array for name, array in kept.items() if name not in ("X", "sample_weight")}
    whole = GaussianMixture(precisions_init=precisions, **given, **options)
    whole = run(whole, kept["X"], 4, kept.get("sample_weight"), **known)
    assert difference(streamed, whole) < 1e-9
