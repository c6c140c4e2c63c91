"""Tables and other text that the command line prints."""

import numpy as np
import pytest

import fastem
from fastem.cli import options, report
from fastem.datasets import load_faithful
from fastem.em.convergence import RULES

pytestmark = pytest.mark.slow


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


def test_a_rule_of_convergence_can_be_chosen(run, folder):
    (folder / "deaths.csv").write_text("deaths\n" + "".join(f"{k}\n" * n for k, n in enumerate((162, 267, 271, 185))))
    arguments = ("fit", "deaths.csv", "-k", 2, "--family", "poisson", "--tol", 1e-5, "--max-iter", 20_000)

    def components(*option):
        return run(*arguments, *option).partition("Components of")[2].rpartition(",")[0]

    assert [rule.value for rule in options.Convergence] == list(RULES)
    assert components() == components("--convergence", "bound") != components("--convergence", "parameters")


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
    assert report.with_deviation(mean, deviation) == text


@pytest.mark.parametrize(
    ("text", "counts"), [("3", [3]), ("1-4", [1, 2, 3, 4]), ("2,4,8", [2, 4, 8]), ("8, 1-2,2", [1, 2, 8])]
)
def test_numbers_of_components_are_read_from(text, counts):
    search = options.Search("poisson", options.parse_counts(text), [])
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
    monkeypatch.setattr("fastem.warmup.COMPILED", ("gaussian-spherical",))
    lines = run("warmup").splitlines()
    labels = [line.partition(" s  ")[2] for line in lines]
    passes = {"k-means": ("seeds", "clusters"), "gaussian-spherical": ("fit", "score")}
    expected = [f"{name} float64: {step}" for name, steps in passes.items() for step in steps]
    assert labels == ["threads", "structures of covariances", *expected, "in all"]
    assert all(float(line.partition(" s ")[0]) >= 0.0 for line in lines)


def test_without_arguments_it_shows_its_help(run):
    assert "warmup" in run()
