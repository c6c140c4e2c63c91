"""k-means: the same draws and labels as scikit-learn's on any number of threads, and its extensions."""

import numba
import numpy as np
import pytest
from processes import python
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from fastem.em.initialization import clustering, partition
from fastem.em.initialization.clustering import cluster, cluster_known, seed_rows
from fastem.em.initialization.partition import Partition
from fastem.engine.threads import limit_threads
from fastem.kernels import clusters
from fastem.kernels.shuffles import lane_bits, lowest_bit
from fastem.kernels.vectors import load

pytestmark = pytest.mark.slow

SEEDS = range(4)
WEIGHTS = ("none", "counts", "fractions")


@pytest.fixture(params=["numpy", "compiled", "shared"])
def engine(request, monkeypatch):
    """Each implementation of a pass over rows, whatever their number."""
    monkeypatch.setattr(partition, "SMALL", 10**9 if request.param == "numpy" else 0)
    monkeypatch.setattr(partition, "SHARED", 0 if request.param == "shared" else 10**9)
    return request.param


def rows_of(n_rows, n_features, n_groups, seed=0):
    """Groups that overlap."""
    rng = np.random.default_rng(seed)
    centres = 2.0 * rng.normal(size=(n_groups, n_features))
    return centres[rng.integers(n_groups, size=n_rows)] + rng.normal(size=(n_rows, n_features)) + 5.0


def weights_of(kind, n_rows):
    rng = np.random.default_rng(1)
    return {"none": None, "counts": rng.integers(3, size=n_rows) * 1.0, "fractions": rng.random(n_rows)}[kind]


def inertia(X, labels, weights=None):
    """Weighted squared distances to the clusters' means."""
    weights = np.ones(len(X)) if weights is None else weights
    total = 0.0
    for k in np.unique(labels[weights > 0]):
        w, part = weights[labels == k], X[labels == k]
        total += (w[:, None] * (part - np.average(part, axis=0, weights=w)) ** 2).sum()
    return total


# Agreement with scikit-learn


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize(("n_features", "n_clusters"), [(1, 2), (2, 5), (3, 1), (7, 4), (10, 9), (33, 13)])
def test_labels_and_seeds_are_those_of_scikit_learn(engine, n_features, n_clusters, weighted):
    X, weights = rows_of(700, n_features, n_clusters), weights_of(weighted, 700)
    for seed in SEEDS:
        theirs = KMeans(n_clusters, n_init=1, random_state=seed).fit(X, sample_weight=weights)
        random_state = np.random.RandomState(seed)
        np.testing.assert_array_equal(cluster(X, weights, n_clusters, random_state), theirs.labels_)
        _, chosen = kmeans_plusplus(X, n_clusters, sample_weight=weights, random_state=seed)
        np.testing.assert_array_equal(seed_rows(X, weights, n_clusters, np.random.RandomState(seed)), chosen)


def test_as_many_random_numbers_are_drawn_as_by_scikit_learn():
    X, ours, theirs = rows_of(200, 3, 4), np.random.RandomState(0), np.random.RandomState(0)
    cluster(X, None, 4, ours)
    KMeans(4, n_init=1, random_state=theirs).fit(X)
    assert ours.uniform() == theirs.uniform()


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_float32_rows_are_labelled_as_by_scikit_learn(engine, weighted):
    X, weights = rows_of(400, 5, 6).astype(np.float32), weights_of(weighted, 400)
    for seed in SEEDS:
        theirs = KMeans(6, n_init=1, random_state=seed).fit(X, sample_weight=weights)
        np.testing.assert_array_equal(cluster(X, weights, 6, np.random.RandomState(seed)), theirs.labels_)


def test_fewer_distinct_rows_than_clusters_leave_clusters_empty_with_their_warning(engine):
    X = np.repeat([[0.0, 1.0], [3.0, 1.0], [5.0, -2.0]], [5, 9, 40], axis=0)
    for seed in SEEDS:
        with pytest.warns(ConvergenceWarning) as theirs:
            expected = KMeans(5, n_init=1, random_state=seed).fit(X).labels_
        with pytest.warns(ConvergenceWarning) as ours:
            labels = cluster(X, None, 5, np.random.RandomState(seed))
        assert [str(warning.message) for warning in ours] == [str(warning.message) for warning in theirs]
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_an_empty_cluster_takes_the_row_farthest_from_its_centre_as_theirs_does(engine, weighted):
    X, weights = rows_of(300, 2, 3), weights_of(weighted, 300)
    X[7] += 40.0
    start = np.vstack([X[:2], [[1e3, 1e3], [-1e3, 1e3]]])
    theirs = KMeans(4, init=start, n_init=1).fit(X, sample_weight=weights)
    rows = Partition(X, weights, 4)
    centres = start - (X[0] - rows.points(np.array([0]))[0])
    labels = clustering._lloyd(rows, centres, clustering.Complete(), 1e-4 * X.var(axis=0).mean())
    np.testing.assert_array_equal(labels, theirs.labels_)


def test_a_fit_does_not_import_the_k_means_of_scikit_learn():
    assert (
        python(
            """
import json, sys
import numpy as np
from fastem import GaussianMixture
GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(60, 2)))
print(json.dumps([name for name in sys.modules if name.startswith("sklearn.cluster")]))
"""
        )
        == []
    )


# Lloyd's algorithm


@pytest.mark.parametrize("weighted", WEIGHTS)
def test_each_iteration_lowers_the_inertia(engine, weighted, monkeypatch):
    X, weights = rows_of(500, 4, 6), weights_of(weighted, 500)
    monkeypatch.setattr(clustering, "TOL", 0.0)
    monkeypatch.setattr(clustering, "SUMMED_ANEW", 3)
    values = []
    for n_iter in range(12):
        monkeypatch.setattr(clustering, "MAX_ITER", n_iter)
        values.append(inertia(X, cluster(X, weights, 6, np.random.RandomState(3)), weights))
    assert (np.diff(values) <= 1e-12 * values[0]).all()
    assert values[-1] < 0.95 * values[0]


def test_a_row_that_has_left_a_cluster_leaves_nothing_in_sums_made_anew(engine):
    """Added to it, the other rows lose digits, which subtracting it would not restore."""
    X = np.concatenate([rows_of(200, 2, 2), [[1e12, 0.0]]])
    rows, space = Partition(X, None, 2, origin=np.zeros(2)), clustering.Complete()
    rows.assign(*space.lifted(np.array([[5.0, 5.0], [-1e15, 0.0]])), anew=True)
    np.testing.assert_array_equal(rows.totals()[1], [201, 0])
    rows.assign(*space.lifted(np.array([[5.0, 5.0], [1e12, 0.0]])))
    np.testing.assert_array_equal(rows.totals()[1], [200, 1])
    assert not rows.assign(*space.lifted(np.array([[5.0, 5.0], [1e12, 0.0]])), anew=True)
    np.testing.assert_allclose(rows.totals()[0][0], X[:200].sum(axis=0), rtol=1e-13)


def test_rows_beyond_many_tiles_and_slabs_all_count(engine):
    X = rows_of(5003, 3, 4)
    rows = Partition(X, None, 4)
    labels = clustering._lloyd(rows, rows.points(np.arange(4)), clustering.Complete(), 0.0)
    sums, mass = rows.totals()
    np.testing.assert_array_equal(mass, np.bincount(labels, minlength=4))
    shifted = rows.points(np.arange(len(X)))
    np.testing.assert_allclose(sums, [shifted[labels == k].sum(axis=0) for k in range(4)], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rows.variance(), X.var(axis=0).mean(), rtol=1e-12)


# A float32 copy that decides where it can


def undecided_rows(seed, n_features, n_clusters, scale):
    """Centres, and rows on or near the plane midway between two of them; some rows are far out."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_clusters, n_features))
    a, b = centres[rng.integers(n_clusters, size=(2, 2000))]
    along, push = b - a, rng.choice([-1e-3, -1e-7, -1e-10, 0.0, 1e-10, 1e-7, 1e-3], size=(2000, 1))
    rows = 0.5 * (a + b) + push * along
    rows[::50] *= 10.0 ** rng.integers(1, 7, size=(40, 1))
    return scale * centres, scale * rows


def labels_by(rows, centres, *, copy):
    """Labels and sums of an assignment by the float32 copy or by float64 alone, and whether the copy was read."""
    held = Partition(rows, None, len(centres))
    centres = centres - (rows[0] - held.points(np.array([0]))[0])
    held.assign(*clustering.Complete().lifted(centres[::-1]), anew=True)
    held._copy_decides = read = held._copy_decides and copy
    held.assign(*clustering.Complete().lifted(centres))
    return held.labels, held.totals(), read


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e6])
@pytest.mark.parametrize(("n_features", "n_clusters"), [(1, 3), (2, 2), (5, 8), (40, 6), (300, 17)])
def test_labels_are_those_of_float64_where_float32_cannot_decide(n_features, n_clusters, scale, monkeypatch):
    monkeypatch.setattr(partition, "SMALL", 0)
    for seed in SEEDS:
        centres, rows = undecided_rows(seed, n_features, n_clusters, scale)
        expected, (sums, mass), _ = labels_by(rows, centres, copy=False)
        labels, (sums_by_copy, mass_by_copy), read = labels_by(rows, centres, copy=True)
        assert read
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(sums_by_copy, sums)
        np.testing.assert_array_equal(mass_by_copy, mass)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_copy_that_decides_little_is_left(spread, monkeypatch, rng):
    monkeypatch.setattr(partition, "SMALL", 0)
    centres, rows = undecided_rows(0, 3, 4, 1.0)
    rows = rows[np.abs(rows).max(axis=1) < 10.0]
    rows = rows + spread * rng.normal(size=rows.shape)
    held = Partition(rows, None, 4)
    centres = centres - (rows[0] - held.points(np.array([0]))[0])
    space = clustering.Complete()
    for i in range(3):
        held.assign(*space.lifted(centres), anew=i == 0)
    assert held._copy_decides == (spread > 0.0)


def test_float32_alone_would_give_other_labels(monkeypatch):
    """This shows that the rows of the tests above do need float64."""
    monkeypatch.setattr(partition, "SMALL", 0)
    centres, rows = undecided_rows(0, 5, 8, 1.0)
    expected = labels_by(rows, centres, copy=True)[0]
    alone = labels_by(rows.astype(np.float32), centres.astype(np.float32), copy=True)[0]
    assert (alone != expected).sum() > 20


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e17, 1e50, 1e120])
def test_rows_out_of_the_range_of_float32_are_read_in_float64(scale, monkeypatch):
    monkeypatch.setattr(partition, "SMALL", 0)
    centres, rows = undecided_rows(1, 3, 4, 1.0)
    rows = rows[np.abs(rows).max(axis=1) < 10.0]
    power = 2.0 ** np.round(np.log2(scale))  # a power of two changes no digit
    expected = labels_by(rows, centres, copy=True)[0]
    with np.errstate(over="ignore"):
        labels, _, read = labels_by(power * rows, power * centres, copy=True)
    assert not read
    np.testing.assert_array_equal(labels, expected)


def test_nearest_centres_are_found_in_float32_with_the_lead_that_they_have(rng):
    """Compared with squared distances: twice a product is the squared length of a row less its distance."""
    tile, centres = rng.normal(size=(3, 64)).astype(np.float32), rng.normal(size=(8, 3)).astype(np.float32)
    offsets, slack = -0.5 * (centres**2).sum(axis=1), np.array([0.25], np.float32)
    offsets[6:] = -np.inf  # as for centres that pad a block
    distances = ((tile.T[:, None] - centres[:6]) ** 2).sum(axis=2)
    first, second = np.sort(distances, axis=1)[:, :2].T
    largest = 0.5 * ((tile**2).sum(axis=0) - first)
    for find in (clusters.two_largest_products, compiled_two_largest):
        nearest, lead = np.empty((2, 64), np.float32)
        find(tile, centres, offsets, slack, nearest, lead)
        np.testing.assert_array_equal(nearest, distances.argmin(axis=1))
        np.testing.assert_allclose(lead, 0.25 * largest + 0.5 * (second - first), atol=2e-6)


@numba.njit
def compiled_two_largest(tile, centres, offsets, slack, nearest, lead):
    clusters.two_largest_products(tile, centres, offsets, slack, nearest, lead)


def test_a_tile_is_rounded_with_the_doubts_of_its_rows(rng):
    tile = rng.normal(size=(7, 64))
    for write in (clusters.round_tile, compiled_round_tile):
        rounded, doubts = np.empty((7, 64), np.float32), np.empty(64, np.float32)
        write(tile, 1e-3, rounded, doubts)
        np.testing.assert_array_equal(rounded, tile.astype(np.float32))
        np.testing.assert_allclose(doubts, 1e-3 * (tile**2).sum(axis=0), rtol=1e-6)


@numba.njit
def compiled_round_tile(tile, doubt, rounded, doubts):
    clusters.round_tile(tile, doubt, rounded, doubts)


def test_bits_of_a_mask_are_its_lanes(rng):
    for _ in range(20):
        a, b = rng.integers(2, size=(2, 16)).astype(np.float32)
        lanes = np.flatnonzero(a > b)
        bits = compiled_bits(a, b)
        assert bits == lane_bits(a > b) == sum(2**lane for lane in lanes)
        assert not lanes.size or lowest_bit(bits) == compiled_lowest(np.uint64(bits)) == lanes[0]


@numba.njit
def compiled_bits(a, b):
    return lane_bits(load(a, 0) > load(b, 0))


@numba.njit
def compiled_lowest(bits):
    return lowest_bit(bits)


# Bits


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bits_do_not_depend_on_threads_or_strides(dtype, monkeypatch):
    X = rows_of(6000, 5, 7).astype(dtype)
    monkeypatch.setattr(partition, "SHARED", 0)
    layouts = (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X[::-1].copy()[::-1])
    results = []
    for n_threads in (1, 2):
        for rows in layouts:
            with limit_threads(n_threads):
                held = Partition(rows, None, 7)
                held.assign(*clustering.Complete().lifted(held.points(np.arange(7))), anew=True)
                results.append((held.totals()[0].tobytes(), cluster(rows, None, 7, np.random.RandomState(0)).tobytes()))
    assert len(set(results)) == 1


@pytest.mark.parametrize("n_rows", [1, 31, 32, 33, 255, 257])
def test_tiles_that_are_not_full_hold_no_other_rows(engine, n_rows):
    X = rows_of(n_rows, 2, 1)
    held = Partition(X, None, 1)
    np.testing.assert_allclose(held.points(np.arange(n_rows)), X - X.mean(axis=0), atol=1e-13)
    assert held.assign(*clustering.Complete().lifted(np.zeros((1, 2))), anew=True)
    assert held.totals()[1] == [n_rows]
    np.testing.assert_allclose(held.variance(), X.var(axis=0).mean(), rtol=1e-12, atol=1e-15)


# Missing values and known labels


def test_where_all_is_known_clusters_are_those_of_complete_rows(engine):
    X = rows_of(400, 3, 4)
    for seed in SEEDS:
        expected = cluster(X, None, 4, np.random.RandomState(seed))
        np.testing.assert_array_equal(cluster_known(X, None, None, 4, np.random.RandomState(seed)), expected)


def test_missing_values_are_left_out_of_distances_and_means(engine):
    X = rows_of(600, 4, 3)
    X[np.random.default_rng(2).random(X.shape) < 0.2] = np.nan
    labels = cluster_known(X, None, None, 3, np.random.RandomState(0))
    means = np.array([np.nanmean(X[labels == k], axis=0) for k in range(3)])
    nearest = np.nansum((X[:, None] - means) ** 2, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.99  # the tolerance ends iterations early


def test_forbidden_clusters_get_no_row(engine):
    X = rows_of(500, 3, 4)
    plausible = np.random.default_rng(0).integers(2, size=(500, 4)) * 1.0
    plausible[np.arange(500), np.random.default_rng(1).integers(4, size=500)] = 0.5
    labels = cluster_known(X, None, plausible, 4, np.random.RandomState(0))
    assert (plausible[np.arange(500), labels] > 0.0).all()
