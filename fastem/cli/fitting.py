"""The `fit` command: read, fit, show, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastem.cli import report, selection
from fastem.cli.reading import read_data

if TYPE_CHECKING:
    from fastem.cli.options import Search
    from fastem.cli.reading import Wanted
    from fastem.cli.writing import Outputs


def run(source: str, wanted: Wanted, search: Search, outputs: Outputs) -> None:
    """Fit all models of a search to a file, show them and write what was asked for.

    All that can be wrong with the arguments or the data is found before the first fit.
    """
    outputs.check(source)
    data = read_data(source, wanted)
    outputs.check_columns(data)
    selection.check_domain(data, search.family)
    n_models = len(search.candidates(len(data.values)))
    with report.show_progress(n_models) as watch:
        results = selection.fit_all(search, data, watch)
    best = selection.best_of(results, search)
    report.show_models(results, best, search)
    report.show_components(best, data.columns)
    for path in outputs.write(best.model, data):
        print(f"wrote {path}")
