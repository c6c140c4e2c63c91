"""The command line: what it shows, what it writes, and how it fails."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow
import pytest
from pyarrow import csv, feather, ipc, parquet

import fastem
from fastem.cli import main, options, report, writing
from fastem.cli.errors import CommandError
from fastem.datasets import load_faithful, load_galaxies

SMALL = "height,weight\n1.5,50\n1.6,62\n1.7,61\n1.8,82\n1.9,79\n2.0,95\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.csv").write_text(SMALL)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command that must succeed, returning what it printed."""

    def run(*arguments):
        status = main(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert (status, captured.err) == (0, "")
        return captured.out

    return run


@pytest.fixture
def fail(capsys, folder):
    """Run a command that must fail, returning its one line; it may leave no file behind."""

    def fail(*arguments):
        before = sorted(folder.rglob("*"))
        status = main(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert status == 2
        assert captured.err.startswith("fastem: error: ")
        assert captured.err.count("\n") == 1
        assert "Traceback" not in captured.err + captured.out
        assert sorted(folder.rglob("*")) == before
        return captured.err

    return fail


def table():
    return pyarrow.table(dict(zip(("a", "b"), load_faithful().values.T, strict=True)))


# What it shows


def test_a_range_of_models_is_one_table_with_the_winner_marked(run):
    output = run("fit", "faithful", "-k", "1-3", "--covariance", "full,diag")
    models, components = output.split("Components of ")
    marked = [line for line in models.splitlines() if line.startswith("* ")]
    assert len(marked) == 1
    assert marked[0].split()[1:4] == ["k=2", "full", "-1130.264"]
    assert components.startswith("k=2 full")
    rows = [line.split()[:2] for line in models.splitlines() if " full " in line or " diag " in line]
    assert len(rows) == 6


def test_components_are_shown_with_weight_mean_and_deviation(run):
    output = run("fit", "faithful", "-k", 2)
    assert "54.48 ± 5.81" in output
    assert "79.97 ± 6.00" in output
    assert "0.6441" in output
    assert "log-likelihood -1130.264" in output


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_the_lowest_criterion_wins(run, criterion):
    values = load_faithful().values
    models = {k: fastem.GaussianMixture(k, random_state=0).fit(values) for k in (1, 2, 3, 4)}
    best = min(models, key=lambda k: getattr(models[k], criterion)(values))
    assert f"Components of k={best} full" in run("fit", "faithful", "-k", "1-4", "--criterion", criterion)


def test_a_model_that_cannot_be_fitted_is_a_row_and_the_others_go_on(run, folder):
    (folder / "ties.csv").write_text("x\n" + "1\n" * 20 + "2\n2.5\n3\n")
    output = run("fit", "ties.csv", "-k", "1,3", "--reg-covar", 0)
    assert "failed" in output
    assert "ill-defined" in output
    assert "Components of k=1 full" in output


def test_a_model_that_has_not_converged_is_marked_instead_of_warning(run):
    output = run("fit", "iris", "-k", 3, "--max-iter", 1, "--tol", 1e-9)
    assert " 1+ " in output
    assert "+ had not converged" in output
    assert "+" not in run("fit", "iris", "-k", 2)


def test_poisson_components_are_shown_by_their_rates(run, folder):
    counts = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    (folder / "deaths.csv").write_text("deaths,days\n" + "".join(f"{k},{n}\n" for k, n in enumerate(counts)))
    arguments = ("--family", "poisson", "--weights", "days", "--tol", 1e-10, "--max-iter", 20_000)
    output = run("fit", "deaths.csv", "-k", 2, *arguments)
    assert "-1989.94" in output
    assert "weight and rate" in output
    assert "days" not in output


def test_many_columns_are_shown_downwards(run, folder, rng):
    np.save("wide.npy", rng.normal(size=(60, 9)))
    output = run("fit", "wide.npy", "-k", 1, "--covariance", "diag")
    assert [line.split()[0] for line in output.splitlines() if line.startswith("x")] == [f"x{i}" for i in range(9)]


def test_no_number_is_cut_short_in_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    output = run("fit", "iris", "-k", 2)
    assert "…" not in output
    assert "-214.355" in output


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [(54.6136, 5.8691, "54.61 ± 5.87"), (20828.17, 4563.8, "20828 ± 4564"), (0.5, 1e-9, "0.5 ± 1e-09")],
)
def test_deviations_have_three_digits(mean, deviation, text):
    assert report._with_deviation(mean, deviation) == text


@pytest.mark.parametrize(
    ("text", "counts"), [("3", [3]), ("1-4", [1, 2, 3, 4]), ("2,4,8", [2, 4, 8]), ("8, 1-2,2", [1, 2, 8])]
)
def test_numbers_of_components_are_read_from(text, counts):
    search = options.Search(options.FamilyName.POISSON, options.parse_counts(text), [])
    assert [candidate.n_components for candidate in search.candidates(10)] == counts


def test_a_progress_callback_follows_restarts_and_iterations():
    class Recorder:
        updates, advanced = [], 0

        def update(self, task, *, detail):
            self.updates.append(detail)

        def advance(self, task):
            self.advanced += 1

    recorder = Recorder()
    model = fastem.GaussianMixture(2, n_init=2, random_state=0)
    model.set_callbacks(report.IterationWatcher(recorder, 0)).fit(load_faithful().values)
    assert recorder.updates[0] == "restart 1/2, iteration 1"
    assert any(text.startswith("restart 2/2") for text in recorder.updates)
    assert recorder.advanced == 1
    assert not hasattr(model, "_skl_callbacks")


def test_version_info_and_warmup(run, monkeypatch):
    assert run("--version") == f"fastem {fastem.__version__}\n"
    assert "numba" in run("info")
    monkeypatch.setattr("fastem.warmup.warmup", lambda report: report("a piece", 1.25))
    assert "1.25 s  a piece" in run("warmup")


def test_without_arguments_it_shows_its_help(run):
    assert "warmup" in run()


# What it reads


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
    (folder / "iris.csv").write_text(SMALL)
    assert "height" in run("fit", "iris.csv", "-k", 1)
    assert "petal_width" in run("fit", "iris", "-k", 1)


# What it writes


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


# How it fails


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
        (["fit", "iris", "-k", "2", "--covariance", "ful"], "did you mean 'full'?"),
        (["fit", "iris", "-k", "2", "--covariance", "round"], "there are full, tied, diag, spherical"),
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
        (["fit", ".", "-k", "2"], "cannot tell the format"),
        (["fit", "iris", "-k", "2", "--output", "m.pkl"], "--output 'm.pkl' must end in .json"),
        (["fit", "iris", "-k", "2", "--labels", "l.txt"], "must end in .csv or .parquet"),
        (["fit", "iris", "-k", "2", "--plot", "p.jpeg"], "must end in .png or .pdf or .svg"),
        (["fit", "iris", "-k", "2", "--output", "no/m.json"], "there is no directory"),
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
        ("ragged.csv", "a,b\n1,2\n3,4,5\n", "cannot read 'ragged.csv'"),
        ("numbers.csv", "1,2\n3,4\n", "its first line is all numbers"),
        ("index.csv", ",a\n0,5\n1,6\n", "a column without a name"),
        ("twice.csv", "a,a\n0,5\n1,6\n", "column 'a' appears twice"),
        ("latin.csv", b"h\xf6he,b\n1,2\n", "cannot read 'latin.csv'"),
        ("broken.parquet", "PAR1 nothing PAR1", "cannot read 'broken.parquet'"),
        ("broken.feather", "not arrow at all", "cannot read 'broken.feather'"),
        ("broken.npy", "not numpy", "cannot read 'broken.npy'"),
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


def test_a_directory_that_cannot_be_written_to_is_told(fail, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written to" in fail("fit", "iris", "-k", "1", "--output", "m.json")


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


# As a process


def command(*arguments):
    return [sys.executable, "-m", "fastem", *arguments]


def test_as_a_process_it_succeeds_silently_on_stderr(folder):
    result = subprocess.run(
        command("fit", "iris", "-k", "2", "--output", "m.json"), capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((folder / "m.json").read_text())


def test_as_a_process_it_fails_with_status_two(folder):
    result = subprocess.run(command("fit", "nothing", "-k", "2"), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("fastem: error: ")


ENDLESS = """
import sys
import fastem
from fastem.cli import main

fit = fastem.GaussianMixture.fit


def announced(*arguments, **options):
    print("begun", flush=True)
    return fit(*arguments, **options)


fastem.GaussianMixture.fit = announced
sys.exit(main(["fit", "big.npy", "-k", "20", "--tol", "0", "--max-iter", "1000000", "--labels", "l.csv"]))
"""


@pytest.mark.parametrize("delay", [0.3, 1.5])
def test_as_a_process_it_stops_at_an_interrupt(folder, rng, delay):
    np.save("big.npy", rng.normal(size=(20_000, 4)))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", ENDLESS], **pipes) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            output, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, output, error) == (130, "", "fastem: interrupted\n")
    assert sorted(os.listdir()) == ["big.npy", "small.csv"]


def test_an_interrupt_that_the_compiler_swallows_is_repeated(capsys, monkeypatch):
    import ctypes

    def interrupted(*arguments, **options):
        def raising():
            raise KeyboardInterrupt

        ctypes.CFUNCTYPE(None)(raising)()
        for _ in range(100):
            time.sleep(0.1)

    monkeypatch.setattr(fastem.GaussianMixture, "fit", interrupted)
    assert main(["fit", "iris", "-k", "1"]) == 130
    assert capsys.readouterr().err == "fastem: interrupted\n"
