"""Output of the command: progress on stderr during the fits, tables on stdout after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fastem.cli.errors import printable, shorten
from fastem.cli.options import Candidate, Search
from fastem.cli.selection import Failed, Fitted
from fastem.mixtures.representation import with_deviation
from fastem.plotting.shapes import full_covariances

if TYPE_CHECKING:
    from rich.progress import TaskID

    from fastem.cli.selection import Model


@contextmanager
def show_progress(n_models: int) -> Iterator[Callable[[Candidate, Model], None]]:
    """Show a progress bar on stderr if that is a terminal; yield the function to call before each fit."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda candidate, model: None
        return
    look = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[detail]}"))
    with Progress(*look, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("models", total=n_models, detail="")

        def watch(candidate: Candidate, model: Model) -> None:
            progress.update(task, description=str(candidate))
            model.set_callbacks(IterationWatcher(progress, task))

        yield watch


class IterationWatcher:
    """scikit-learn callback that writes restart and iteration beside the bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress = progress
        self.task = task

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing: the bar is there already."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing: the bar counts tasks that have ended."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Show the number of the iteration that has ended."""
        if context.task_name == "iteration":
            restart = f"restart {context.parent.task_id + 1}/{estimator.n_init}, " if estimator.n_init > 1 else ""
            self.progress.update(self.task, detail=f"{restart}iteration {context.task_id + 1}")

    def teardown(self, estimator: Any, context: Any) -> None:
        """Advance the bar by one model, and remove the callback from the model."""
        self.progress.advance(self.task)
        estimator.set_callbacks()


def show_models(results: list[Fitted | Failed], best: Fitted, search: Search) -> None:
    """Print a row for each model, the best one marked."""
    table = _table(gap=1)
    with_notes = any(isinstance(result, Failed) for result in results)
    table.add_column("", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for name in ("log-\nlikelihood", "parameters", "BIC", "AIC", "ICL", "iterations", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    if with_notes:
        table.add_column("note", max_width=60, overflow="fold")
    for result in results:
        cells = ["*" if result is best else "", str(result.candidate)]
        cells += _failed_cells(result) if isinstance(result, Failed) else _fitted_cells(result)
        table.add_row(*map(Text, cells), style="bold" if result is best else None)
    _print(f"Models, best by {search.criterion.upper()} marked *", table)
    if any(isinstance(result, Fitted) and not result.model.converged_ for result in results):
        print("+ had not converged: raise --max-iter or --tol\n")


def _fitted_cells(result: Fitted) -> list[str]:
    return [
        f"{result.log_likelihood:.3f}",
        str(result.n_parameters),
        *(f"{result.criteria[name]:.1f}" for name in ("bic", "aic", "icl")),
        str(result.model.n_iter_) + ("" if result.model.converged_ else "+"),
        f"{result.seconds:.3f}",
    ]


def _failed_cells(result: Failed) -> list[str]:
    return [*["-"] * 5, "failed", "-", result.reason]


def show_components(best: Fitted, columns: Sequence[str]) -> None:
    """Print weight and location of each component; if there are many columns, each is a line of the table."""
    names = [shorten(printable(name)) for name in columns]
    cells = _component_cells(best.model)
    n_components, n_columns = len(cells), len(names)
    labels = [str(component) for component in range(n_components)]
    weights = [f"{weight:.4f}" for weight in best.model.weights_]
    components = best.model._components()
    kind = components.parameters[0].singular
    kind += "" if components.host.discrete else f" {_plus_minus()} {components.host.unit}"
    table = _table()
    if n_columns > 6 and n_columns > n_components:
        _fill(table, ["", *labels], [["weight", *weights], *map(list, zip(names, *cells, strict=True))])
    else:
        rows = [[label, weight, *row] for label, weight, row in zip(labels, weights, cells, strict=True)]
        _fill(table, ["component", "weight", *names], rows)
    _print(f"Components of {best.candidate}: weight and {kind}", table)
    print(f"log-likelihood {best.log_likelihood:.6f}, {best.model.n_iter_} iterations, {best.seconds:.3f} seconds")


def _fill(table: Table, header: list[str], rows: list[list[str]]) -> None:
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))


def _component_cells(model: Any) -> list[list[str]]:
    locations = model._locations()
    if model._components().host.discrete:
        return [[f"{location:.6g}" for location in row] for row in locations]
    deviations = np.sqrt(np.diagonal(full_covariances(model), axis1=1, axis2=2))
    return [
        [with_deviation(mean, deviation, _plus_minus()) for mean, deviation in zip(*row, strict=True)]
        for row in zip(locations, deviations, strict=True)
    ]


def _plus_minus() -> str:
    """The sign ±, or +- if stdout cannot encode it."""
    try:
        "±".encode(sys.stdout.encoding or "utf-8")
    except (AttributeError, UnicodeEncodeError):
        return "+-"
    return "±"


def _table(gap: int = 2) -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0))


def _print(title: str, table: Table) -> None:
    # A shortened number would be wrong: the table may be wider than the terminal.
    console = Console(file=sys.stdout)
    unbounded = console.options.update(width=10_000, max_width=10_000)
    console.width = max(console.width, Measurement.get(console, unbounded, table).maximum)
    console.print(Text(f"{title}\n"))
    console.print(table, "")
