"""Output files: checked before the work, whole or not there at all after it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastem.cli.errors import CommandError
from fastem.cli.reading import Data
from fastem.plotting import MAX_COLUMNS, plot_mixture

if TYPE_CHECKING:
    from fastem.cli.selection import Model

ENDINGS = {"--output": (".json",), "--labels": (".csv", ".parquet"), "--plot": (".png", ".pdf", ".svg")}
ROWS_AT_ONCE = 100_000

Writer = Callable[[Path], None]


@dataclass(frozen=True)
class Outputs:
    """Where to write what; None is nowhere."""

    model: Path | None = None
    labels: Path | None = None
    plot: Path | None = None

    def check(self, source: str) -> None:
        """Refuse targets that cannot be written, before any work is done."""
        named = {"--output": self.model, "--labels": self.labels, "--plot": self.plot}
        taken = {Path(source).resolve()}
        for option, path in named.items():
            if path is None:
                continue
            _check_target(option, path)
            if path.resolve() in taken:
                raise CommandError(f"{option} {str(path)!r} would overwrite the data or another output")
            taken.add(path.resolve())
        if self.plot is not None and importlib.util.find_spec("matplotlib") is None:
            raise ModuleNotFoundError(name="matplotlib")

    def check_columns(self, data: Data) -> None:
        """Refuse to plot more columns than fit on a page."""
        if self.plot is not None and len(data.columns) > MAX_COLUMNS:
            raise CommandError(
                f"--plot shows at most {MAX_COLUMNS} columns, not {len(data.columns)}; choose some with --columns"
            )

    def write(self, model: Model, data: Data) -> list[Path]:
        """Write all that were asked for, or none; return their paths."""
        writers: dict[Path, Writer] = {}
        if self.model is not None:
            writers[self.model] = model.save
        if self.labels is not None:
            writers[self.labels] = lambda path: _write_labels(path, model, data)
        if self.plot is not None:
            writers[self.plot] = lambda path: _write_plot(path, model, data)
        write_together(writers)
        return list(writers)


def write_together(writers: dict[Path, Writer]) -> None:
    """Write several files so that either all appear, whole, or none does.

    Each is written beside its target, and put in its place when all are done.

    Parameters
    ----------
    writers : dict of Path to callable (Path)
        For each target what writes it, given the path of the temporary file.

    Raises
    ------
    CommandError
        If a file cannot be written.
    """
    # The temporary name keeps the ending, from which writers tell the format.
    targets = {path: path.resolve() for path in writers}
    temporaries = {
        path: target.with_name(f".{target.stem}-{os.getpid()}{target.suffix}") for path, target in targets.items()
    }
    try:
        for path, writer in writers.items():
            with _told_as(path):
                writer(temporaries[path])
        for path, target in targets.items():
            with _told_as(path):
                _replace(temporaries[path], target)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


@contextmanager
def _told_as(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _replace(temporary: Path, target: Path) -> None:
    if target.exists():
        shutil.copymode(target, temporary)
    os.replace(temporary, target)


def _check_target(option: str, path: Path) -> None:
    if path.suffix.lower() not in ENDINGS[option]:
        raise CommandError(f"{option} {str(path)!r} must end in {' or '.join(ENDINGS[option])}")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise CommandError(f"{option} {str(path)!r}: there is no directory {str(folder)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"{option} {str(path)!r}: the directory {str(folder)!r} cannot be written to")
    if path.is_dir():
        raise CommandError(f"{option} {str(path)!r} is a directory")


def _write_labels(path: Path, model: Model, data: Data) -> None:
    import pyarrow
    from pyarrow import csv, parquet

    labels = np.empty(len(data.values), dtype=np.int64)
    probabilities = np.empty(len(data.values))
    # A few rows at a time: the posteriors of all may take more room than the data.
    for start in range(0, len(labels), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        posteriors = model.predict_proba(data.values[rows])
        labels[rows] = posteriors.argmax(axis=1)
        probabilities[rows] = posteriors.max(axis=1)
    table = pyarrow.table({"label": labels, "probability": probabilities})
    if path.suffix.lower() == ".parquet":
        parquet.write_table(table, path)
    else:
        with path.open("wb") as file:
            file.write(b"label,probability\n")
            csv.write_csv(table, file, csv.WriteOptions(include_header=False))


def _write_plot(path: Path, model: Model, data: Data) -> None:
    figure = plot_mixture(model, data.values, columns=data.columns, sample_weight=data.weights)
    figure.savefig(path, dpi=200)
