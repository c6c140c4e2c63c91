"""Changed data have another fingerprint, whatever the change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastem import GaussianMixture, Source
from fastem.data import ArraySource
from fastem.data.fingerprints import RunningFingerprint, fingerprint
from fastem.data.row_info import Annotations
from fastem.em import loop
from fastem.persistence.checkpoint import CheckpointError

N, D = 2048, 4
MANY = np.random.default_rng(1).normal(size=(4096, 512))


def of(X, weights=None, **known):
    return ArraySource(X, weights, annotations=Annotations(**known)).digest()


CHANGES = {
    "negated": lambda X: -X,
    "doubled": lambda X: 2 * X,
    "a column negated": lambda X: X * np.r_[np.ones(X.shape[1] - 1), -1],
    "columns swapped": lambda X: X[:, ::-1],
    "rotated": lambda X: np.roll(X, 512, axis=0),
    "halves swapped": lambda X: np.vstack([X[len(X) // 2 :], X[: len(X) // 2]]),
    "shuffled": lambda X: np.random.default_rng(0).permutation(X),
    "groups of rows shuffled": lambda X: np.random.default_rng(0).permutation(X.reshape(-1, 8 * X.shape[1])),
    "another shape": lambda X: X.reshape(2 * len(X), -1),
    "a row more": lambda X: np.vstack([X, X[:1]]),
    "another type": lambda X: X.view(np.int64),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_changed_arrays_have_other_fingerprints(change, dtype, rng):
    for X in (rng.normal(size=(N, D)).astype(dtype), MANY.astype(dtype)):
        Y = CHANGES[change](X) if dtype == np.float64 or change != "another type" else X.view(np.int32)
        assert fingerprint([("X", X)]) != fingerprint([("X", Y)])


@given(row=st.integers(0, 99), other=st.integers(0, 99), column=st.integers(0, 6), bit=st.integers(0, 63))
@settings(max_examples=50, deadline=None)
def test_a_bit_and_a_value_that_moves_to_another_row_count(row, other, column, bit):
    X = np.random.default_rng(2).normal(size=(100, 7))
    Y = X.copy()
    Y.view(np.uint64)[row, column] ^= np.uint64(1) << np.uint64(bit)
    assert of(X) != of(Y)
    moved = X.copy()
    moved[[row, other], column] = X[[other, row], column]
    assert (of(X) == of(moved)) == (row == other)


def test_nothing_moves_between_fields(rng):
    X, A = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) ** 2
    w = np.ascontiguousarray(A[:, 0])
    labels = w.view(np.int64)
    found = [
        *(of(X), of(X, w), of(X, labels=labels), of(X, plausibility=A), of(X, noise=A), of(X, projection=A)),
        *(of(A, noise=X), of(X[:1], noise=A[:1]), of(X, noise=A[:1]), of(X, w[::-1].copy()), of(X, noise=A[::-1])),
        *(of(np.vstack([X, A])), of(np.hstack([X, A])), of(X, labels=labels[::-1].copy())),
    ]
    assert len(set(found)) == len(found)


def test_the_layout_in_memory_does_not_matter(rng):
    X = rng.normal(size=(40_000, 7))
    wide = rng.normal(size=(40_000, 14))
    wide[:, ::2] = X
    reversed_ = np.ascontiguousarray(X[::-1])[::-1]
    for same in (np.asfortranarray(X), wide[:, ::2], np.repeat(X, 2, axis=0)[::2], reversed_):
        assert not same.flags.c_contiguous
        assert of(same) == of(X)
    assert of(X[:0]) != of(X[:0].reshape(0, 1).repeat(3, axis=1))


@pytest.mark.parametrize("by_column", [False, True])
def test_where_a_chunk_is_cut_does_not_matter(by_column, rng):
    X, w = rng.normal(size=(100, 3)), rng.random(100)
    X = np.asfortranarray(X) if by_column else X
    found = set()
    for cuts in ([], [1], [10, 11, 50], list(range(1, 100))):
        running = RunningFingerprint()
        for rows, weights in zip(np.split(X, cuts), np.split(w, cuts), strict=True):
            running.add("weights", weights)
            running.add("values", rows)
        found.add(running.digest())
    assert len(found) == 1


def fit(X, **options):
    return GaussianMixture(2, covariance_type="diag", random_state=0, tol=1e9).fit(X, **options)


@pytest.mark.parametrize("change", ["negated", "doubled", "rotated", "shuffled"])
def test_a_fit_of_changed_data_is_not_resumed(change, tmp_path, rng):
    X = rng.normal(size=(N, D)) + 3 * rng.integers(2, size=(N, 1))
    fit(X, checkpoint=tmp_path / "run.ckpt")
    with pytest.raises(CheckpointError, match="the fingerprint of X"):
        fit(CHANGES[change](X), checkpoint=tmp_path / "run.ckpt", resume=True)


def test_a_fit_of_rows_in_another_order_than_their_labels_is_not_resumed(tmp_path, rng):
    labels = rng.integers(2, size=1024)
    X = rng.normal(size=(1024, 64)) + 6 * labels[:, None]
    for name, values in (("labels", labels), ("noise", abs(X)), ("sample_weight", labels + 1.0)):
        path = tmp_path / name
        fit(X, checkpoint=path, **{name: values})
        for X_then, then in ((np.roll(X, 512, axis=0), values), (X, np.roll(values, 512, axis=0))):
            with pytest.raises(CheckpointError, match="the fingerprint of X"):
                fit(X_then, checkpoint=path, resume=True, **{name: then})


class Changing:
    """A source that yields other chunks from the second reading on."""

    def __init__(self, *readings):
        self.readings = list(readings)

    def __iter__(self):
        return iter(self.readings.pop(0) if len(self.readings) > 1 else self.readings[0])


@pytest.mark.parametrize("change", ["negated", "doubled", "rotated", "shuffled", "groups of rows shuffled"])
@pytest.mark.parametrize("beside", ["nothing", "labels", "noise", "weights"])
def test_a_source_that_changes_is_found(change, beside, rng):
    X = rng.normal(size=(1024, 64))
    changed = CHANGES[change](X).reshape(X.shape)
    known = {"labels": np.arange(1024) % 2, "noise": np.ones((1024, 64)), "sample_weight": np.ones(1024)}
    names = {"nothing": [], "weights": ["sample_weight"]}.get(beside, [beside])
    then, now = ([{"X": rows, **{name: known[name] for name in names}}] for rows in (X, changed))
    with pytest.raises(ValueError, match="the source has changed: chunk 0 holds other rows"):
        fit(Source(Changing(then, now), chunk_bytes=100_000))


def test_what_is_known_of_a_source_that_changes_is_found(rng):
    X = rng.normal(size=(1024, 2))
    for name, then in (("labels", np.arange(1024) % 2), ("noise", rng.random((1024, 2)))):
        now = np.roll(then, 512 if name == "noise" else 1, axis=0)
        with pytest.raises(ValueError, match="the source has changed: chunk 0 holds other rows"):
            fit(Source(Changing([{"X": X, name: then}], [{"X": X, name: now}])))


def test_a_table_that_changes_is_found(tmp_path, rng):
    pa, datasets = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.dataset")
    X = rng.normal(size=(1024, 2))

    class Table:
        """A dataset whose second reading has its rows in another order."""

        def __init__(self, *tables):
            self.tables, self.schema = list(tables), tables[0].schema

        def scanner(self, **options):
            table = self.tables.pop(0) if len(self.tables) > 1 else self.tables[0]
            return datasets.dataset(table).scanner(**options)

    Table.__module__ = "pyarrow.dataset"
    tables = [pa.table({"a": values[:, 0], "b": values[:, 1]}) for values in (X, np.roll(X, 512, axis=0))]
    with pytest.raises(ValueError, match="the source has changed: chunk 0 holds other rows"):
        fit(Table(*tables))
    fit(Table(tables[0]))


@pytest.mark.parametrize("of_what", ["X", "noise", "sample_weight"])
def test_a_memory_map_that_changes_during_a_fit_is_found(of_what, tmp_path, monkeypatch, rng):
    arrays = {"X": rng.normal(size=(1000, 2)), "noise": rng.random((1000, 2)), "sample_weight": rng.random(1000)}
    np.save(tmp_path / "map.npy", arrays[of_what])
    given = {name: array for name, array in arrays.items() if name in ("X", of_what)}
    given[of_what] = np.load(tmp_path / "map.npy", mmap_mode="r")
    keep = loop.Forgetful.keep

    def write_to_it(journal, progress):
        keep(journal, progress)
        np.load(tmp_path / "map.npy", mmap_mode="r+")[7] *= 2

    fit(**given)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Forgetful, "keep", write_to_it)
        model = GaussianMixture(2, covariance_type="diag", random_state=0, tol=1e9)
        with pytest.raises(ValueError, match="a memory map has changed while it was read"):
            model.fit(**given)
    assert not hasattr(model, "means_")
