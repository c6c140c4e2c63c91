"""What the command line reads and writes."""

import os

import numpy as np
import pyarrow
import pytest
from pyarrow import csv, feather, ipc, parquet

import fastem
from fastem.cli import writing
from fastem.cli.errors import CommandError
from fastem.datasets import load_faithful, load_galaxies


def table():
    return pyarrow.table(dict(zip(("a", "b"), load_faithful().values.T, strict=True)))


def write_csv(path):
    csv.write_csv(table(), path)


def write_tsv(path):
    csv.write_csv(table(), path, csv.WriteOptions(delimiter="\t"))


def write_arrow(path):
    with ipc.new_file(path, table().schema) as file:
        file.write_table(table())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("data.csv", write_csv),
        ("data.TSV", write_tsv),
        ("data.parquet", lambda path: parquet.write_table(table(), path)),
        ("data.feather", lambda path: feather.write_feather(table(), path)),
        ("data.arrow", write_arrow),
        ("data.npy", lambda path: np.save(path, load_faithful().values)),
    ],
)
def test_all_formats_give_the_same_models(run, folder, name, write):
    write(str(folder / name))
    output = run("fit", name, "-k", 2)
    assert "-1130.264" in output


def test_columns_are_chosen_by_name_or_index(run, folder):
    np.save("data.npy", load_faithful().values)
    by_name = run("fit", "faithful", "-k", 2, "--columns", "waiting_min")
    by_index = run("fit", "data.npy", "-k", 2, "--columns", "1")
    assert by_name.count("-1034.0") == by_index.count("-1034.0") == 2
    assert "eruptions_min" not in by_name


def test_whole_weights_are_the_same_as_repeated_rows(run, folder):
    (folder / "weighted.csv").write_text("x,w\n" + "".join(f"{x},{2 if x < 5 else 1}\n" for x in range(10)))
    (folder / "repeated.csv").write_text("x\n" + "".join(f"{x}\n" for x in [*range(10), *range(5)]))
    weighted = run("fit", "weighted.csv", "-k", 1, "--weights", "w")
    repeated = run("fit", "repeated.csv", "-k", 1)
    assert "3.67 ± 2.75" in weighted
    assert "3.67 ± 2.75" in repeated


def test_single_precision_stays_single(folder):
    from fastem.cli.reading import Wanted, read_data

    singles = pyarrow.table({"a": np.float32([1, 2]), "b": np.float32([3, 4]), "n": [1, 2]})
    parquet.write_table(singles, "singles.parquet")
    assert read_data("singles.parquet", Wanted(["a", "b"])).values.dtype == np.float32
    assert read_data("singles.parquet", Wanted()).values.dtype == np.float64


def test_a_file_named_like_a_data_set_is_addressed_by_its_ending(run, folder):
    (folder / "iris.csv").write_text("height,weight\n1.5,50\n1.6,62\n1.7,61\n1.8,82\n")
    assert "height" in run("fit", "iris.csv", "-k", 1)
    assert "petal_width" in run("fit", "iris", "-k", 1)


def test_all_outputs_are_those_of_the_best_model(run, folder):
    output = run(
        *("fit", "faithful", "-k", "1-3", "--output", "m.json", "--labels", "l.csv", "--plot", "p.png"),
    )
    values = load_faithful().values
    model = fastem.load("m.json")
    assert model.n_components == 2
    labels = np.genfromtxt("l.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(labels["label"], model.predict(values))
    np.testing.assert_allclose(labels["probability"], model.predict_proba(values).max(axis=1), rtol=1e-12)
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert output.splitlines()[-3:] == ["wrote m.json", "wrote l.csv", "wrote p.png"]
    assert sorted(os.listdir()) == ["l.csv", "m.json", "p.png", "small.csv"]


def test_labels_can_be_parquet_and_plots_pdf_or_svg(run, folder):
    run("fit", "galaxies", "-k", 2, "--labels", "l.parquet", "--plot", "p.pdf")
    assert parquet.read_table("l.parquet").column_names == ["label", "probability"]
    assert (folder / "p.pdf").read_bytes().startswith(b"%PDF")
    run("fit", "galaxies", "-k", 2, "--plot", "p.svg")
    assert "<svg" in (folder / "p.svg").read_text()


def test_an_output_keeps_the_mode_of_the_file_it_replaces(run, folder):
    target = folder / "l.csv"
    target.write_text("old")
    target.chmod(0o640)
    run("fit", "galaxies", "-k", 1, "--labels", target)
    assert target.stat().st_mode & 0o777 == 0o640
    assert len(target.read_text().splitlines()) == len(load_galaxies().values) + 1


def test_if_one_output_fails_the_others_are_as_they_were(folder):
    (folder / "first").write_text("old")

    def write_whole(path):
        path.write_text("new")

    def break_off(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError, match=r"cannot write 'second': No space left on device"):
        writing.write_together({folder / "first": write_whole, writing.Path("second"): break_off})
    assert (folder / "first").read_text() == "old"
    assert sorted(os.listdir()) == ["first", "small.csv"]


def test_a_full_disk_is_told_in_one_line(fail, monkeypatch):
    def save(model, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fastem.GaussianMixture, "save", save)
    error = fail("fit", "iris", "-k", 1, "--labels", "l.csv", "--output", "m.json")
    assert error == "fastem: error: cannot write 'm.json': No space left on device\n"
