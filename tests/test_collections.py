"""Collections of Dask: results of their partitions are those of all rows in one array."""

import warnings

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import CASES
from sklearn.exceptions import ConvergenceWarning
from test_every_family import assert_same, problem_of

from fastem import GaussianMixture, PoissonMixture, Source
from fastem.data.cluster.held import FAN_IN, ReadAgain, levels
from fastem.data.cluster.partitions import load_partition
from fastem.data.cluster.placement import TASKS, Placement, moves, runs, together
from fastem.data.cluster.schedulers import Here

every_family = pytest.mark.parametrize("case", CASES, ids=str)
SIZES = (30, 1, 0, 57, 32)  # rows of partitions, of which some are short and one is empty
X = np.random.default_rng(0).normal(size=(120, 3)) + 3.0 * np.arange(2).repeat(60)[::-1, None]
ROWS = np.random.default_rng(1).permutation(X)
WEIGHTS = np.random.default_rng(2).integers(0, 4, size=120) / 2.0
LABELS = np.where(np.arange(120) % 7 == 0, (ROWS.sum(axis=1) > 4.5).astype(int), -1)


@pytest.fixture(autouse=True)
def _in_turn():
    """Run tasks in this thread, so that errors and interrupts arrive at once."""
    with dask.config.set(scheduler="synchronous"):
        yield


def collected(array, sizes=SIZES):
    """A collection with partitions of these sizes."""
    array = np.asarray(array)
    return da.from_array(array, chunks=(sizes, *((n,) for n in array.shape[1:])))


def model(**options):
    return GaussianMixture(**{"n_components": 2, "random_state": 0, "max_iter": 8, "tol": 0.0, **options})


@pytest.fixture(autouse=True)
def _however_far_fits_come():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fitted(given, **options):
    return model(**options).fit(given)


@every_family
def test_iterations_are_those_of_one_array(case):
    rows, start = problem_of(case)
    options = {"max_iter": 4, "tol": 0.0}
    partitioned, whole = (case.model(start, **options).fit(each) for each in (collected(rows), rows))
    assert_same(partitioned, whole, 1e-10)
    np.testing.assert_allclose(partitioned.lower_bounds_, whole.lower_bounds_, rtol=1e-10)
    assert partitioned.n_features_in_ == 3
    found = [partitioned.predict_proba(collected(rows)).compute(), partitioned.score_samples(collected(rows)).compute()]
    np.testing.assert_allclose(found[0], partitioned.predict_proba(rows), rtol=1e-12)
    np.testing.assert_allclose(found[1], partitioned.score_samples(rows), rtol=1e-12)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("init_size", [40, 1000])
def test_starts_are_drawn_as_from_one_array(init_params, init_size):
    options = {"init_params": init_params, "init_size": init_size, "n_init": 2}
    for known in ({}, {"sample_weight": WEIGHTS}, {"labels": LABELS}, {"labels": LABELS, "sample_weight": WEIGHTS}):
        beside = {name: collected(array) for name, array in known.items()}
        partitioned = model(**options).fit(collected(ROWS), **beside)
        whole = model(**options).fit(ROWS, **known)
        assert_same(partitioned, whole, 1e-10)


def incomplete():
    rows = ROWS.copy()
    rows[np.random.default_rng(3).random(rows.shape) < 0.2] = np.nan
    return rows


VARIANCES = np.random.default_rng(4).uniform(0.1, 0.5, size=ROWS.shape)
MATRICES = VARIANCES[:, :, None] * np.eye(3)
PROJECTIONS = np.random.default_rng(5).normal(size=(120, 3, 2))


@pytest.mark.parametrize(
    ("rows", "options", "known"),
    [
        (incomplete(), {"missing": "marginalize"}, {}),
        (incomplete(), {"missing": "marginalize", "background": True}, {}),
        (ROWS, {"background": True}, {"sample_weight": WEIGHTS}),
        (ROWS.astype(np.float32), {}, {}),
        (ROWS + 1e6, {}, {}),
        (ROWS, {}, {"noise": VARIANCES}),
        (ROWS, {}, {"noise": MATRICES}),
        (incomplete(), {"missing": "marginalize"}, {"noise": MATRICES, "labels": LABELS}),
        (ROWS, {}, {"noise": MATRICES, "projection": PROJECTIONS}),
        (ROWS, {"acceleration": "squarem"}, {}),
        (ROWS, {"acceleration": "anderson"}, {}),
        (ROWS, {"algorithm": "hard"}, {}),
        (ROWS, {"algorithm": "stochastic"}, {}),
        (ROWS, {"convergence": "parameters"}, {}),
        (ROWS, {"weights_prior": 2.0, "prior": "conjugate"}, {}),
    ],
)
def test_what_is_known_of_rows_counts_as_in_one_array(rows, options, known):
    options = {"init_params": "random_from_data", **options}
    beside = {name: collected(array) for name, array in known.items()}
    partitioned, whole = model(**options).fit(collected(rows), **beside), model(**options).fit(rows, **known)
    assert_same(partitioned, whole, 1e-5 if rows.dtype == np.float32 else 1e-9)
    assert partitioned.means_.dtype == rows.dtype
    scored = {name: array for name, array in known.items() if name != "labels"}
    beside = {name: collected(array) for name, array in scored.items()}
    found, expected = partitioned.score(collected(rows), **beside), partitioned.score(rows, **scored)
    assert found == pytest.approx(expected, rel=1e-6 if rows.dtype == np.float32 else 1e-12)


def test_one_covariance_of_errors_may_be_given_for_all():
    noise = np.diag([0.1, 0.2, 0.3])
    assert_same(model().fit(collected(ROWS), noise=noise), model().fit(ROWS, noise=noise), 1e-9)


def test_large_counts_take_the_exact_densities():
    counts = np.random.default_rng(0).poisson([[1e6, 2e6]], size=(120, 2)) + np.arange(2).repeat(60)[:, None] * 1000
    options = {"n_components": 2, "random_state": 0}
    whole, partitioned = (PoissonMixture(**options).fit(each) for each in (counts, collected(counts)))
    np.testing.assert_allclose(partitioned.rates_, whole.rates_, rtol=1e-12)
    assert partitioned.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-12)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_bits_do_not_depend_on_the_scheduler(scheduler):
    expected = fitted(collected(ROWS))
    with dask.config.set(scheduler=scheduler):
        assert_same(fitted(collected(ROWS)), expected)


@pytest.mark.parametrize("algorithm", ["incremental", "stepwise"])
def test_partitions_are_the_blocks_of_incremental_and_stepwise_em(algorithm):
    tuned = model(algorithm=algorithm, max_iter=30)
    tuned.fit(collected(ROWS), sample_weight=collected(WEIGHTS))
    whole = model(max_iter=30).fit(ROWS, sample_weight=WEIGHTS)
    assert tuned.score(ROWS, sample_weight=WEIGHTS) == pytest.approx(
        whole.score(ROWS, sample_weight=WEIGHTS), abs=0.05 if algorithm == "stepwise" else 1e-6
    )


def test_sparse_em_needs_the_rows_in_one_array():
    with pytest.raises(ValueError, match="needs an array"):
        model(algorithm="sparse").fit(collected(ROWS))


FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"]).assign(w=WEIGHTS, z=LABELS, va=VARIANCES[:, 0], vb=VARIANCES[:, 1])


def test_columns_of_a_frame_are_named():
    frame = dd.from_pandas(FRAME, npartitions=4, sort=False)
    source = Source(frame, columns=["a", "b"], weight="w", label="z", noise=["va", "vb"])
    partitioned = model().fit(source)
    given = {"sample_weight": WEIGHTS, "labels": LABELS, "noise": VARIANCES[:, :2]}
    whole = model().fit(FRAME[["a", "b"]], **given)
    assert_same(partitioned, whole, 1e-10)
    assert list(partitioned.feature_names_in_) == ["a", "b"]
    labels = partitioned.predict(source)
    assert isinstance(labels, da.Array)
    np.testing.assert_array_equal(labels.compute(), whole.predict(FRAME[["a", "b"]], noise=VARIANCES[:, :2]))


def test_series_and_frames_go_beside_a_frame():
    frame = dd.from_pandas(FRAME, npartitions=4, sort=False)
    partitioned = model().fit(frame[["a", "b"]], sample_weight=frame["w"], noise=frame[["va", "vb"]])
    whole = model().fit(FRAME[["a", "b"]], sample_weight=WEIGHTS, noise=VARIANCES[:, :2])
    assert_same(partitioned, whole, 1e-10)


def test_partitions_of_frames_are_read_in_place_and_known_again_however_they_lie():
    names = ["a", "b", "c"]
    by_column = pd.DataFrame(np.asfortranarray(ROWS), columns=names)
    apart = pd.DataFrame({name: FRAME[name].to_numpy().copy() for name in names})
    by_row = pd.DataFrame(np.ascontiguousarray(ROWS), columns=names)
    options = {"name": "X", "missing": False, "variances": False}
    first, *others = (load_partition({"X": frame}, **options) for frame in (by_column, apart, by_row))
    assert np.shares_memory(first.block.values, by_column["a"].to_numpy())
    for other in others:
        assert other.facts.digest == first.facts.digest
    changed = load_partition({"X": by_column.assign(b=by_column["b"] + 1e-9)}, **options)
    assert changed.facts.digest != first.facts.digest


def test_labels_that_are_null_are_not_known():
    labels = FRAME["z"].where(FRAME["z"] >= 0)
    frame = dd.from_pandas(FRAME[["a", "b"]].assign(z=labels), npartitions=3, sort=False)
    assert_same(model().fit(Source(frame, label="z")), model().fit(FRAME[["a", "b"]], labels=LABELS), 1e-10)


@pytest.mark.parametrize("known", [True, False])
def test_categories_that_are_numbers_are_numbers(known):
    counts = FRAME[["a"]].assign(k=np.arange(120) % 3)
    frame = dd.from_pandas(counts.astype({"k": "category"} if known else {}), npartitions=3, sort=False)
    frame = frame if known else frame.astype({"k": "category"})
    assert frame["k"].cat.known == known
    assert_same(fitted(frame), fitted(counts), 1e-10)


def test_an_array_of_xarray_is_the_array_that_it_holds():
    given = xr.DataArray(collected(ROWS), dims=("star", "colour"))
    assert_same(fitted(given), fitted(collected(ROWS)))


@pytest.mark.parametrize("sizes", [SIZES, (120,)])
def test_results_for_rows_are_lazy_and_have_the_partitions_of_the_rows(sizes):
    tuned, rows = fitted(ROWS), collected(ROWS, sizes)
    holes = collected(incomplete(), sizes)
    variances = collected(VARIANCES, sizes)
    given = {
        "predict": (tuned.predict(rows), tuned.predict(ROWS)),
        "predict_proba": (tuned.predict_proba(rows), tuned.predict_proba(ROWS)),
        "score_samples": (tuned.score_samples(rows), tuned.score_samples(ROWS)),
        "with noise": (tuned.score_samples(rows, noise=variances), tuned.score_samples(ROWS, noise=VARIANCES)),
        "impute": (tuned.impute(holes), tuned.impute(incomplete())),
        "denoise": (tuned.denoise(rows, noise=variances)[0], tuned.denoise(ROWS, noise=VARIANCES)[0]),
        "of denoise": (tuned.denoise(rows, noise=variances)[1], tuned.denoise(ROWS, noise=VARIANCES)[1]),
    }
    for name, (lazy, expected) in given.items():
        assert isinstance(lazy, da.Array), name
        assert lazy.chunks[0] == sizes, name
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype), name
        np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-12, err_msg=name)


def test_draws_of_missing_values_differ_from_partition_to_partition():
    tuned, holes = fitted(ROWS), np.tile(incomplete()[:30], (4, 1))
    draws = tuned.impute(collected(holes, (30,) * 4), n_draws=3)
    assert draws.shape == (3, 120, 3)
    assert draws.chunks[1] == (30,) * 4
    found = draws.compute()
    assert not np.isnan(found).any()
    assert (found[:, :30] != found[:, 30:60])[np.broadcast_to(np.isnan(holes[:30]), (3, 30, 3))].all()


def test_criteria_are_those_of_one_array():
    tuned = fitted(ROWS)
    for name in ("score", "bic", "aic", "icl"):
        for beside in ({}, {"sample_weight": WEIGHTS}):
            given = {key: collected(array) for key, array in beside.items()}
            expected = getattr(tuned, name)(ROWS, **beside)
            assert getattr(tuned, name)(collected(ROWS), **given) == pytest.approx(expected, rel=1e-12), name


def test_fit_predict_keeps_known_labels():
    wrong = np.where(LABELS < 0, -1, 1 - LABELS)
    lazy = model().fit_predict(collected(ROWS), labels=collected(wrong))
    whole = model().fit_predict(ROWS, labels=wrong)
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(), whole)
    assert (lazy.compute()[wrong >= 0] == wrong[wrong >= 0]).all()


def test_partial_fit_takes_partitions_one_after_the_other():
    expected = model()
    for start, stop in ((0, 30), (30, 31), (31, 88), (88, 120)):
        expected.partial_fit(ROWS[start:stop], sample_weight=WEIGHTS[start:stop] + 0.5)
    given = model().partial_fit(collected(ROWS), sample_weight=collected(WEIGHTS + 0.5))
    assert_same(given, expected)
    assert given.n_iter_ == 4


def test_sums_are_a_tree_that_depends_on_the_number_of_partitions_alone():
    assert levels(1) == []
    assert levels(FAN_IN) == [[range(FAN_IN)]]
    assert [len(level) for level in levels(FAN_IN**2 + 1)] == [FAN_IN + 1, 2, 1]


def test_partitions_of_a_task_are_on_one_worker_and_added_by_one_sum():
    n_threads = {"a": 1, "b": 2, "c": 1}
    owners = np.random.default_rng(0).choice(["a", "b", "c", "lost"], size=200).tolist()
    groups = together(owners, n_threads, FAN_IN)
    assert sorted(i for group in groups for i in group) == list(range(200))
    for group in groups:
        assert len({owners[i] for i in group}) == len({i // FAN_IN for i in group}) == 1
        assert len(group) == 1 or owners[group[0]] != "lost"


def test_runs_are_consecutive_and_as_long_as_workers_have_threads():
    assert runs(10, {"a": 1, "b": 3, "c": 1}) == {"a": range(2), "b": range(2, 8), "c": range(8, 10)}
    assert runs(1, {"a": 1, "b": 1, "c": 1}) == {"a": range(0), "b": range(1), "c": range(1, 1)}
    for n in range(20):
        found = runs(n, {"a": 2, "b": 1, "c": 4})
        assert [i for run in found.values() for i in run] == list(range(n))


class Counting(Here):
    """Dask's scheduler in this process, which counts the tasks that it gets."""

    def results(self, graph, keys):
        self.n_tasks = len(graph.to_dict())
        return super().results(graph, keys)


def length(partition, place, request):
    return len(partition["X"])


def test_some_partitions_come_without_the_tasks_of_the_others():
    counting = Counting()
    several, single = (
        ReadAgain(counting, Source(collection).collection().pieces)
        for collection in (collected(ROWS), collected(ROWS[: SIZES[3]], SIZES[3:4]))
    )
    assert several.each(length, SIZES, None) == list(SIZES)
    assert counting.n_tasks > 2 * len(SIZES)
    assert several.some([3]).each(length, [None], None) == [SIZES[3]]
    n_tasks = counting.n_tasks
    assert single.each(length, [None], None) == [SIZES[3]]
    assert n_tasks == counting.n_tasks


def test_each_thread_computes_its_partitions_by_a_few_tasks():
    owners = ["a"] * 20 + ["b"] * 40
    sizes = {
        owner: [len(g) for g in together(owners, {"a": 1, "b": 2}, FAN_IN) if owners[g[0]] == owner] for owner in "ab"
    }
    assert sizes == {"a": [20 // TASKS] * TASKS, "b": [20 // TASKS] * 2 * TASKS}


# Errors name what is wrong, and where


def spoiled(value, row=40, column=1):
    rows = ROWS.copy()
    rows[row, column] = value
    return rows


WRONG = {
    "NaN": (lambda: model().fit(collected(spoiled(np.nan))), r"NaN: row 9, column 1 of partition 3"),
    "infinity": (lambda: model().fit(collected(spoiled(np.inf))), r"infinity: row 9, column 1 of partition 3"),
    "NaN where rows are scored": (lambda: fitted(ROWS).score(collected(spoiled(np.nan))), r"partition 3 .*NaN"),
    "NaN in lazy results": (lambda: fitted(ROWS).predict(collected(spoiled(np.nan))).compute(), r"partition 3 .*NaN"),
    "negative counts": (
        lambda: PoissonMixture(2).fit(collected(np.where(spoiled(-7.0) == -7.0, -7.0, 1.0))),
        r"-7.0 in row 9 of partition 3",
    ),
    "negative weights": (
        lambda: model().fit(collected(ROWS), sample_weight=collected(np.where(np.arange(120) == 40, -1.0, 1.0))),
        r"partition 3",
    ),
    "labels of no component": (
        lambda: model().fit(collected(ROWS), labels=collected(np.where(np.arange(120) == 40, 5, -1))),
        r"row 9 of partition 3",
    ),
    "no rows": (lambda: model().fit(collected(ROWS[:0], (0,))), "no rows"),
    "one row": (lambda: model(n_components=1).fit(collected(ROWS[:1], (1,))), "minimum of 2"),
    "one dimension": (lambda: model().fit(collected(ROWS[:, 0])), "2D"),
    "strings": (lambda: model().fit(da.from_array(np.array([["a"], ["b"]]))), "partition 0"),
    "other lengths": (
        lambda: model().fit(collected(ROWS), sample_weight=da.ones(119)),
        "sample_weight has 119 rows, where X has 120",
    ),
    "other partitions": (
        lambda: model().fit(dd.from_pandas(FRAME[["a"]], npartitions=4), sample_weight=da.ones(120, chunks=60)),
        "sample_weight has 2 partitions, where X has 4",
    ),
    "a column that is not there": (
        lambda: model().fit(Source(dd.from_pandas(FRAME, npartitions=2), columns=["a", "q"])),
        "no column 'q'",
    ),
    "a column of words": (
        lambda: model().fit(dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0], "s": ["x", "y"]}), npartitions=1)),
        "column 's' .* not numbers",
    ),
    "categories of words": (
        lambda: model().fit(dd.from_pandas(FRAME[["a"]].assign(s=pd.Categorical(["x", "y"] * 60)), npartitions=2)),
        "column 's' .* categories of .*, not numbers",
    ),
    "categories of words that nobody knows yet": (
        lambda: model().fit(dd.from_pandas(FRAME[["a"]].assign(s="x"), npartitions=2).astype({"s": "category"})),
        "partition [01] of X holds 'x' in row 0, column 's'",
    ),
    "no weight at all": (
        lambda: model().fit(collected(ROWS), sample_weight=collected(np.zeros(120))),
        "at least one non-zero",
    ),
    "one weight": (lambda: model().fit(collected(ROWS), sample_weight=da.ones(())), "sample_weight has no dimension"),
    "weights twice": (
        lambda: model().fit(Source(dd.from_pandas(FRAME, npartitions=2), weight="w"), sample_weight=da.ones(120)),
        "sample_weight is given, and is the column 'w'",
    ),
    "other numbers of features, heard before anything is computed": (
        lambda: fitted(ROWS).predict(collected(ROWS[:, :2])),
        "X has 2 features, but GaussianMixture is expecting 3",
    ),
    "no draws": (lambda: fitted(ROWS).impute(collected(ROWS), n_draws=0), "n_draws must be None or an integer above 0"),
    "names for an array": (lambda: model().fit(Source(collected(ROWS), columns=["a"])), "without names"),
    "a start for each row": (lambda: model(init_params=np.zeros(120, int)).fit(collected(ROWS)), "init_params"),
    "a component without rows": (
        lambda: model().fit(collected(ROWS), labels=collected(np.zeros(120, int))),
        "no row for component 1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case):
    attempt, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        attempt()


def test_what_is_no_collection_does_not_go_beside_one():
    with pytest.raises(TypeError, match="sample_weight is a ndarray, where X is a collection"):
        model().fit(collected(ROWS), sample_weight=WEIGHTS)
    with pytest.raises(TypeError, match=r"client must be a distributed\.Client, not str"):
        model().fit(Source(collected(ROWS), client="tcp://localhost:8786"))
    with pytest.raises(ValueError, match="client is for a collection"):
        Source(ROWS, client=object())
    with pytest.raises(TypeError, match="give one of its arrays"):
        model().fit(xr.Dataset({"a": (("x", "y"), collected(ROWS))}))
    with pytest.raises(TypeError, match="X is a Delayed"):
        model().fit(dask.delayed(ROWS))
    with pytest.raises(TypeError, match="fits take"):
        model().fit(dd.from_pandas(FRAME["a"], npartitions=2))


def test_frames_whose_columns_are_in_another_order_are_refused_when_scored():
    tuned = fitted(FRAME[["a", "b"]])
    with pytest.raises(ValueError, match=r"partition [01] of X: The feature names"):
        tuned.score(dd.from_pandas(FRAME[["b", "a"]], npartitions=2))


def test_columns_in_chunks_are_put_together_with_a_warning():
    wide = da.from_array(ROWS, chunks=(40, 1))
    with pytest.warns(UserWarning, match=r"columns in 3 chunks.*rechunk"):
        found = model(max_iter=100, tol=1e-3).fit(wide)
    assert_same(found, model(max_iter=100, tol=1e-3).fit(da.from_array(ROWS, chunks=(40, 3))))


def test_data_that_change_between_passes_are_noticed():
    calls = []

    def other(block):
        calls.append(None)
        return block + (len(calls) > 12) * 1e-9

    changing = da.map_blocks(other, collected(ROWS, (60, 60)), dtype=float, meta=np.empty((0, 3)))
    with pytest.raises(ValueError, match=r"the data have changed: partition [01] of X"):
        fitted(changing)


def test_a_fit_that_fails_leaves_the_mixture_as_it_was():
    tuned = fitted(ROWS)
    before = tuned.means_.tobytes()
    with pytest.raises(ValueError, match="partition 3"):
        tuned.fit(collected(spoiled(np.nan)))
    assert tuned.means_.tobytes() == before
    assert tuned.n_features_in_ == 3


def test_each_worker_gets_its_share_of_the_partitions():
    assert moves({"a": range(20), "b": []}, {"a": 1, "b": 1}) == {"b": list(range(19, 9, -1))}
    assert moves({"a": range(21), "b": range(19)}, {"a": 1, "b": 1}) == {"b": [20]}
    assert moves({"a": range(20), "b": range(20)}, {"a": 2, "b": 2}) == {}
    got = moves({"a": range(30), "b": range(30, 60), "c": []}, {"a": 1, "b": 1, "c": 4})
    assert sorted(got) == ["c"]
    assert len(got["c"]) == 40
    assert len({*got["c"]} & {*range(30)}) == 20


class Emptied:
    """A client whose cluster loses its workers."""

    def __init__(self):
        self.workers, self.asked = {"a": 1, "b": 1}, 0

    def nthreads(self):
        return self.workers

    def who_has(self, futures):
        self.asked += 1
        return {}


def test_without_workers_nothing_is_shared_out_and_a_pass_can_wait():
    client = Emptied()
    placement = Placement(client, [])
    placement.balance()
    client.workers = {}
    placement.balance()
    client.workers = {"c": 1}
    placement.balance()
    assert client.asked == 2


def test_a_share_that_is_no_whole_number_moves_nothing_back_and_forth():
    for n in range(30):
        held = {"a": list(range(n)), "b": [], "c": []}
        threads = {"a": 1, "b": 2, "c": 1}
        for taker, keys in moves(held, threads).items():
            held[taker] += keys
            held["a"] = [key for key in held["a"] if key not in keys]
        assert sum(map(len, held.values())) == n
        assert all(abs(len(keys) - n * threads[address] / 4) < 2.0 for address, keys in held.items())
        assert moves(held, threads) == {}
