"""The `fit` command: read, fit, write, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastem.cli import report, selection
from fastem.cli.errors import CommandError, PipeClosedError, PrintError, printable
from fastem.cli.reading import read_data

if TYPE_CHECKING:
    from fastem.cli.options import Search
    from fastem.cli.reading import Wanted
    from fastem.cli.writing import Outputs


def run(source: str, wanted: Wanted, search: Search, outputs: Outputs) -> None:
    """Fit all models of a search to a file, write the files that were asked for, and show the models.

    Errors in the arguments or the data are found before the first fit. Files are written before anything is shown. If
    they cannot be written, the models are shown before the error.
    """
    outputs.check(source)
    data = read_data(source, wanted)
    outputs.check_columns(data)
    selection.check_domain(data, search)
    n_models = len(search.candidates(len(data.values)))
    with report.show_progress(n_models) as watch:
        results = selection.fit_all(search, data, watch)
    best = selection.best_of(results, search)
    written, failure = [], None
    try:
        written = [f"wrote {printable(str(path))}" for path in outputs.write(best.model, data)]
    except CommandError as error:
        failure = error
    try:
        report.show_models(results, best, search)
        report.show_components(best, data.columns)
        for line in written:
            print(line)
    except PrintError as error:
        if failure is None and written and not isinstance(error, PipeClosedError):
            raise PrintError("; ".join([str(error), *written])) from None
        failure = failure or error
    if failure is not None:
        raise failure
