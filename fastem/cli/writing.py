"""Output files: paths are checked before the fits, and all files or none are written after them."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastem.cli.errors import CommandError, printable, shorten
from fastem.cli.reading import Data
from fastem.datasets import DATASETS
from fastem.persistence.models import encoded
from fastem.plotting.mixtures import MAX_COLUMNS, plot_mixture
from fastem.system.writing import Content, Target, check_target, write_together

if TYPE_CHECKING:
    from fastem.cli.selection import Model

ENDINGS = {"--output": (".json",), "--labels": (".csv", ".parquet"), "--plot": (".png", ".pdf", ".svg")}
ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Outputs:
    """Paths of the output files; None for a file that is not wanted."""

    model: str | None = None
    labels: str | None = None
    plot: str | None = None

    def check(self, source: str) -> None:
        """Refuse targets that cannot be written, before any work is done."""
        named = {"--output": self.model, "--labels": self.labels, "--plot": self.plot}
        taken = set() if source in DATASETS else {_identity(source)}
        for option, path in named.items():
            if path is None:
                continue
            _check_target(option, path)
            if _identity(path) in taken:
                raise CommandError(f"{option} {path!r} would overwrite the data or another output")
            taken.add(_identity(path))
        if self.plot is not None and importlib.util.find_spec("matplotlib") is None:
            raise ModuleNotFoundError(name="matplotlib")

    def check_columns(self, data: Data) -> None:
        """Refuse to plot more columns than fit on a page."""
        if self.plot is not None and len(data.columns) > MAX_COLUMNS:
            raise CommandError(
                f"--plot shows at most {MAX_COLUMNS} columns, not {len(data.columns)}; choose some with --columns"
            )

    def write(self, model: Model, data: Data) -> list[str]:
        """Write all files that were asked for, or none; return their paths."""
        contents: dict[Target, Content] = {}
        if self.model is not None:
            contents[self.model] = encoded(model)
        if self.labels is not None:
            contents[self.labels] = _labels(Path(self.labels), model, data)
        if self.plot is not None:
            contents[self.plot] = _plot(Path(self.plot), model, data)
        try:
            write_together(contents)
        except OSError as error:
            raise CommandError(f"cannot write {error.filename!r}: {error.strerror or error}") from None
        return [str(path) for path in contents]


def _check_target(option: str, path: str) -> None:
    endings = ENDINGS[option]
    if Path(path).suffix.lower() not in endings:
        raise CommandError(f"{option} {shorten(path, 300)!r} must end in {' or '.join(endings)}")
    try:
        check_target(path)
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"cannot write {option} {shorten(path, 300)!r}: {reason}") from None


def _identity(path: str) -> tuple[int, int] | str:
    """Device and inode of a file, or the real path if it does not exist: the same for all its names."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _labels(path: Path, model: Model, data: Data) -> Callable[[BinaryIO], None]:
    """Return a function that writes the label of each row, and the label's probability."""

    def write(file: BinaryIO) -> None:
        import pyarrow
        from pyarrow import csv, parquet

        table = pyarrow.table(_assignments(model, data))
        if path.suffix.lower() == ".parquet":
            parquet.write_table(table, pyarrow.PythonFile(file, mode="w"))
        else:
            file.write(b"label,probability\n")
            csv.write_csv(table, file, csv.WriteOptions(include_header=False))

    return write


def _assignments(model: Model, data: Data) -> dict[str, NDArray[Any]]:
    """Labels (n,) and their probabilities (n,)."""
    labels = np.empty(len(data.values), dtype=np.int64)
    probabilities = np.empty(len(data.values))
    # In blocks: the responsibilities of all rows may take more memory than the data.
    for start in range(0, len(labels), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        posteriors = model.predict_proba(data.values[rows])
        labels[rows] = posteriors.argmax(axis=1)
        probabilities[rows] = posteriors.max(axis=1)
    return {"label": labels, "probability": probabilities}


def _plot(path: Path, model: Model, data: Data) -> bytes:
    room = 50 if len(data.columns) <= 2 else 24  # characters along a panel's side
    names = [shorten(printable(name), room).replace("$", r"\$") for name in data.columns]  # $ begins a formula
    figure = plot_mixture(model, data.values, columns=names, sample_weight=data.weights)
    picture = io.BytesIO()  # matplotlib leaves its files open when a disk is full
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=200)
    return picture.getvalue()
