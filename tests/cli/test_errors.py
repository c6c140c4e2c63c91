"""Errors of the command line: one line on stderr."""

import contextlib
import io
import os
import signal
import sys

import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import feather, parquet

import fastem
from fastem.cli import formats, main
from fastem.cli.errors import CommandError
from fastem.cli.reading import Wanted, read_data

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "Missing argument"),
        (["fit", "iris"], "Missing option"),
        (["fit", "iris", "-k", "2", "--criterion", "dic"], "criterion"),
        (["fit", "iris", "-k", "2", "--seed", "x"], "seed"),
        (["fit", "iris", "-k", "2", "--n-init", "0"], "n-init"),
        (["fti", "iris"], "fti"),
        (["fit", "iris", "-k", "2", "--nonsense"], "--nonsense"),
        (["fit", "iris", "-k", "0"], "bad number of components '0'"),
        (["fit", "iris", "-k", "5-2"], "bad number of components '5-2'"),
        (["fit", "iris", "-k", "two"], "bad number of components 'two'"),
        (["fit", "iris", "-k", "1,,2"], "bad number of components '1,,2'"),
        (["fit", "iris", "-k", "1-151"], "too few rows: 150"),
        (["fit", "iris", "-k", "99999999999999"], "too few rows: 150"),
        (["fit", "iris", "-k", "9" * 5000], "bad number of components '99"),
        (["fit", "iris", "-k", "1", "-k", "2"], "given 2 times"),
        (["fit", "iris", "-k", "1", "--output", "a.json", "--output", "b.json"], "'--output': given 2 times"),
        (["fit", "iris", "-k", "1", "--tol", "inf"], "it must be finite"),
        (["fit", "iris", "-k", "1", "--convergence", "soon"], "for '--convergence': 'soon' is not one of"),
        (["fit", "iris", "-k", "1", "--family", "gauss"], "for '--family': 'gauss' is not one of"),
        (["fit", "-x.csv", "-k", "1"], "No such option: -x"),
        (["fit", "iris", "-k", "2", "--covariance", "ful"], "did you mean 'full'?"),
        (["fit", "iris", "-k", "2", "--covariance", "round"], "there are full, tied, diag, spherical, EII,"),
        (["fit", "iris", "-k", "2", "--family", "poisson", "--covariance", "full"], "--covariance is for Gaussian"),
        (["fit", "iris", "-k", "2", "--family", "poisson", "--reg-covar", "1"], "--reg-covar is for Gaussian"),
        (["fit", "iris", "-k", "2", "--family", "poisson"], "row 1 of column 'sepal_length' is 5.1"),
        (["fit", "iris", "-k", "2", "--columns", "petal_lenght"], "did you mean 'petal_length'"),
        (["fit", "iris", "-k", "2", "--columns", "zzz"], "there are sepal_length, sepal_width"),
        (["fit", "iris", "-k", "2", "--columns", "petal_width,petal_width"], "'petal_width' appears twice"),
        (["fit", "iris", "-k", "2", "--weights", "petals"], "no column 'petals'"),
        (["fit", "iris", "-k", "2", "--weights", "petal_width", "--columns", "petal_width"], "both a feature and"),
        (["fit", "galaxies", "-k", "2", "--weights", "velocity_km_s"], "no columns are left"),
        (["fit", "irsi", "-k", "2"], "no file or built-in data set is called 'irsi'; did you mean 'iris'?"),
        (["fit", "nowhere.csv", "-k", "2"], "no file or built-in data set is called 'nowhere.csv'"),
        (["fit", ".", "-k", "2"], "cannot read '.': it is a folder"),
        (["fit", "", "-k", "2"], "no file or built-in data set is called ''"),
        (["fit", "-", "-k", "2"], "stdin is not read"),
        (["fit", "iris", "-k", "2", "--output", "m.pkl"], "--output 'm.pkl' must end in .json"),
        (["fit", "iris", "-k", "2", "--labels", "l.txt"], "must end in .csv or .parquet"),
        (["fit", "iris", "-k", "2", "--plot", "p.jpeg"], "must end in .png or .pdf or .svg"),
        (["fit", "iris", "-k", "2", "--output", "no/m.json"], "there is no folder"),
        (["fit", "small.csv", "-k", "2", "--labels", "small.csv"], "would overwrite the data"),
    ],
)
def test_a_mistake_is_told_in_one_line(fail, arguments, message):
    assert message in fail(*arguments)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", "", "'empty.csv' is empty"),
        ("header.csv", "a,b\n", "'header.csv' has no rows"),
        ("text.csv", "a,name\n1,2\n2,Bob\n", "column 'name' is text ('Bob' in row 2)"),
        ("bool.csv", "a,b\n1,true\n2,false\n", "column 'b' holds bool values, not numbers"),
        ("dates.csv", "a,b\n1,2020-01-01\n2,2020-01-02\n", "column 'b' holds date32[day] values"),
        ("gap.csv", "a,b\n1,2\n3,\n4,5\n", "row 2 of column 'b' is missing"),
        ("nan.csv", "a,b\n1,2\n3,4\n5,NaN\n", "row 3 of column 'b' is missing"),
        ("gap1.csv", "a\n1\n\n3\n", "row 2 of column 'a' is missing"),
        ("gaps.csv", "a,b\n1,\n2,\n", "row 1 of column 'b' is missing"),
        ("inf.csv", "a,b\n1,2\ninf,4\n", "row 2 of column 'a' is infinite"),
        ("ragged.csv", "a,b\n\n1,2\n3,4,5\n", "cannot read 'ragged.csv': line 4 has not 2 cells but 3: '3,4,5'"),
        ("short.csv", "a,b\r\n1,2\r\n\r\n3\r\n", "cannot read 'short.csv': line 4 has not 2 cells but 1: '3'"),
        ("open.csv", 'a,"b\n1,2\n', "a quote is left open in line 1"),
        ("late.csv", 'a,"b"\n1,2\n3,"4\n5,6\n', r"column 'b' is text ('4\n5,6\n' in row 2)"),
        ("lines.csv", 'a,"b\nc"\n1,"\n2"\n3\n', "line 5 has not 2 cells but 1: '3'"),
        ("quotes.csv", 'Unnamed: 0,"""a", b\n0,5,1\n1,6,2\n', 'with --columns, such as """a"," b"\n'),
        ("bytes.csv", b"a,b\nPK\xff\x80\n", "line 2 has not 2 cells but 1: 'PK\ufffd\ufffd'"),
        ("zeros.csv", "a,b\n1,2\n".encode("utf-16-le"), "line 1 holds zero bytes"),
        ("blank.csv", "\na,b\n1,2\n", "line 1 is blank"),
        ("long.csv", "a,b\n" + "1" * (1 << 21) + ",2\n", "a line is longer than"),
        ("names.csv", "a,b", "'names.csv' has no rows"),
        ("numbers.csv", "1,2\n3,4\n", "line 1 is all numbers"),
        ("lost1.csv", "NA,2\n3,4\n", "line 1 is all numbers"),
        ("lost2.csv", "bob,2.5\neve,4.5\n", "line 1 holds a number, 2.5, where the names"),
        ("lost3.csv", "bob,2\neve,4\n", "column called '2': if line 1 is of names, choose columns"),
        ("index.csv", ",a\n0,5\n1,6\n", "a column without a name; choose columns with --columns, such as a"),
        ("pandas.csv", 'Unnamed: 0,"a,b",c\n0,5,1\n1,6,2\n', "'Unnamed: 0', beside its columns; choose"),
        ("comma.csv", 'Unnamed: 0,"a,b",c\n0,5,1\n1,6,2\n', 'with --columns, such as "a,b",c\n'),
        ("bytes.csv", b"a,b\n1,2\n3,\xe9\n", "column 'b' is no text in UTF-8"),
        ("twice.csv", "a,a\n0,5\n1,6\n", "column 'a' appears twice"),
        ("latin.csv", b"h\xf6he,b\n1,2\n", "cannot read 'latin.csv': line 1 is no text in UTF-8"),
        ("broken.parquet", "PAR1 nothing PAR1", "cannot read 'broken.parquet'"),
        ("broken.feather", "not arrow at all", "cannot read 'broken.feather'"),
        ("broken.npy", "not numpy", "cannot read 'broken.npy'"),
        ("magic.npy", b"\x93NUM", "cannot read 'magic.npy': EOF: reading magic string"),
        ("table.xlsx", "?", "cannot tell the format of 'table.xlsx'"),
    ],
)
def test_a_bad_file_is_told_in_one_line(fail, folder, name, content, message):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in fail("fit", name, "-k", "1")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array(["a", "b"]), "not numbers"),
        (np.array([True, False]), "it holds bool, not numbers"),
        (np.zeros((2, 2, 2)), "one or two dimensions"),
        (np.zeros((0, 2)), "has no rows"),
        (np.array([[0.0, 1.0], [2.0, np.nan]]), "row 2 of column 'x1' is missing"),
    ],
)
def test_a_bad_array_is_told_in_one_line(fail, array, message):
    np.save("array.npy", array)
    assert message in fail("fit", "array.npy", "-k", "1")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000000000, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-6, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (6, 2), 'x",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (6,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + "}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 5000 + ", 2)}",
    ],
)
@pytest.mark.parametrize("through_a_pipe", [False, True])
def test_a_damaged_header_of_an_array_is_told_in_one_short_line(fail, folder, header, through_a_pipe, monkeypatch):
    content = b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(96)
    (folder / "array.npy").write_bytes(content)
    if through_a_pipe:
        monkeypatch.setattr(formats, "_open", lambda path: io.BytesIO(content))
    error = fail("fit", "array.npy", "-k", "1")
    assert "cannot read 'array.npy'" in error
    assert len(error) < 400


@pytest.mark.parametrize("write", [feather.write_feather, parquet.write_table])
def test_a_damaged_table_is_read_or_refused(folder, capsys, write):
    write(pyarrow.table({"height": np.arange(6.0), "weight": np.arange(6.0) ** 2}), "table.feather")
    whole = (folder / "table.feather").read_bytes()
    suffix = ".feather" if write is feather.write_feather else ".parquet"
    for place in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[place] ^= 0x81
        (folder / f"damaged{suffix}").write_bytes(damaged)
        with contextlib.suppress(CommandError):  # any other exception fails
            read_data(f"damaged{suffix}", Wanted())


def test_the_index_of_a_pandas_table_is_not_fitted_unless_it_is_chosen(fail, folder):
    frame = pandas.DataFrame({"a": [1.0, 2.0, 4.0]}, index=pandas.Index([7.0, 8.0, 9.0], name="day"))
    frame.to_parquet("frame.parquet")
    assert "has an index, 'day', beside its columns; choose columns" in fail("fit", "frame.parquet", "-k", "1")
    assert read_data("frame.parquet", Wanted(["day"])).values.tolist() == [[7.0], [8.0], [9.0]]
    assert read_data("frame.parquet", Wanted(weights="day")).columns == ["a"]


def test_a_truncated_array_is_told_in_one_line(fail, folder):
    np.save("array.npy", np.zeros((100, 2)))
    (folder / "array.npy").write_bytes((folder / "array.npy").read_bytes()[:500])
    assert "cannot read 'array.npy'" in fail("fit", "array.npy", "-k", "1")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("1,-2,1", "row 2 of the weights 'w' is negative"),
        ("0,0,0", "the weights 'w' are all zero"),
        ("1,,1", "row 2 of column 'w' is missing"),
        ("1,x,1", "column 'w' is text ('x' in row 2)"),
    ],
)
def test_bad_weights_are_told_in_one_line(fail, folder, weights, message):
    (folder / "w.csv").write_text("a,w\n" + "".join(f"{i},{w}\n" for i, w in enumerate(weights.split(","))))
    assert message in fail("fit", "w.csv", "-k", "1", "--weights", "w")


def test_too_many_columns_to_plot_are_refused_before_fitting(fail, folder, rng, monkeypatch):
    monkeypatch.setattr(fastem.GaussianMixture, "fit", None)
    np.save("wide.npy", rng.normal(size=(50, 7)))
    assert "at most 6 columns, not 7" in fail("fit", "wide.npy", "-k", "1", "--plot", "p.png")


def test_a_folder_that_cannot_be_written_to_is_told(fail, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "may not be written to" in fail("fit", "iris", "-k", "1", "--output", "m.json")


def test_if_no_model_can_be_fitted_the_reason_is_told(fail, folder):
    (folder / "ties.csv").write_text("x\n" + "1\n" * 20)
    error = fail("fit", "ties.csv", "-k", "1-3", "--reg-covar", "0", "--output", "m.json")
    assert "no model could be fitted: " in error


def test_terminal_codes_in_names_are_not_passed_on(fail):
    assert "\x1b" not in fail("fit", "\x1b[31mred.csv", "-k", "1")


def test_missing_packages_are_named_with_how_to_install_them(fail, monkeypatch):
    monkeypatch.setitem(sys.modules, "typer.main", None)
    monkeypatch.setitem(sys.modules, "typer", None)
    assert "this needs typer; install it with: pip install 'fastem[cli]'" in fail("fit", "iris", "-k", "1")


def test_an_interruption_leaves_one_line_and_no_file(capsys, folder, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastem.GaussianMixture, "fit", interrupted)
    assert main(["fit", "iris", "-k", "1", "--output", "m.json"]) == 130
    assert capsys.readouterr().err == "fastem: interrupted\n"
    assert os.listdir() == ["small.csv"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_told_even_if_a_module_makes_another_error_of_it(capsys, folder, monkeypatch, number):
    def imported(*arguments, **options):
        try:
            signal.raise_signal(number)
        except BaseException:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr(fastem.GaussianMixture, "fit", imported)
    assert main(["fit", "iris", "-k", "1"]) == 128 + number
    told = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    assert capsys.readouterr().err == f"fastem: {told}\n"
