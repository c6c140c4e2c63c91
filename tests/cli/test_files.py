"""Files that the command line reads and writes."""

import os
import sys
import threading

import numpy as np
import pyarrow
import pytest
from pyarrow import csv, feather, ipc, parquet

import fastem
from fastem.cli.errors import CommandError
from fastem.cli.reading import Wanted, read_data
from fastem.datasets import load_faithful

pytestmark = pytest.mark.slow


def table():
    return pyarrow.table(dict(zip(("a", "b"), load_faithful().values.T, strict=True)))


def write_csv(path):
    csv.write_csv(table(), path)


def write_tsv(path):
    csv.write_csv(table(), path, csv.WriteOptions(delimiter="\t"))


def write_parquet(path):
    parquet.write_table(table(), path)


def write_arrow(path):
    with ipc.new_file(path, table().schema) as file:
        file.write_table(table())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("data.csv", write_csv),
        ("data.TSV", write_tsv),
        ("data.parquet", write_parquet),
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


def test_names_with_commas_spaces_and_quotes_can_be_chosen(run, folder):
    (folder / "names.csv").write_text('"a,b", c,"d""e"\n1,2,3\n2,3,5\n4,5,6\n')
    output = run("fit", "names.csv", "-k", 1, "--columns", '"a,b", c ,d"e')
    assert output.splitlines()[-5].split() == ["component", "weight", "a,b", "c", 'd"e']


def test_cells_may_hold_line_breaks_in_quotes_wherever_blocks_of_the_file_end(folder):
    lines = [f'{row},"{"text" * (row % 7)}\n{row},2"\n' for row in range(120_000)]
    (folder / "breaks.csv").write_text('"a\nb",c\n' + "".join(lines))
    values = read_data("breaks.csv", Wanted(["a\nb"])).values
    np.testing.assert_array_equal(values[:, 0], range(120_000))


def test_years_can_be_names_if_they_are_chosen(run, folder):
    (folder / "years.csv").write_text("country,2019,2020\nA,1,2\nB,2,3\nC,4,9\n")
    assert "2020" in run("fit", "years.csv", "-k", 1, "--columns", "2020")


def test_blank_lines_of_a_single_column_whose_name_has_a_comma_are_missing_cells(folder):
    (folder / "single.csv").write_text('"a,b"\n1\n\n2\n')
    with pytest.raises(CommandError, match="row 2 of column 'a,b' is missing"):
        read_data("single.csv", Wanted())


@pytest.mark.parametrize("name", ["data.csv", "data.npy", "data.parquet"])
def test_a_pipe_is_read_as_a_file_is(folder, name):
    write = {"csv": write_csv, "npy": lambda path: np.save(path, load_faithful().values), "parquet": write_parquet}
    write[name.partition(".")[2]](name)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    os.mkfifo(name)
    writer = threading.Thread(target=(folder / name).write_bytes, args=(content,))
    writer.start()
    np.testing.assert_array_equal(read_data(name, Wanted()).values, load_faithful().values)
    writer.join()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("write", [write_csv, lambda path: feather.write_feather(table(), path)])
def test_a_name_that_is_no_text_is_read(folder, write):
    name = os.fsdecode(b"caf\xe9") + (".csv" if write is write_csv else ".feather")
    write("plain")
    os.rename("plain", name)
    np.testing.assert_array_equal(read_data(name, Wanted()).values, load_faithful().values)
