"""Read files of several formats as tables or matrices, and say what is wrong with a damaged file."""

from __future__ import annotations

import csv as text_csv
import io
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastem.cli.errors import CommandError, shorten
from fastem.data.streams.npy import map_npy, undamaged

LONGEST_LINE = 1 << 20  # bytes: the block that pyarrow reads at a time by default


def read_file(path: Path) -> Any:
    """Read and check a whole file.

    Parameters
    ----------
    path : Path
        Ends in one of `READERS`. A file that is not regular, such as a pipe, is read into memory first.

    Returns
    -------
    pyarrow.Table or ndarray of shape (n, d)

    Raises
    ------
    CommandError
        If it cannot be read.
    """
    import pyarrow

    reader = READERS[path.suffix.lower()]
    try:
        with _open(path) as file:
            if not file.read(1):
                raise CommandError(f"{str(path)!r} is empty")
            file.seek(0)
            return reader(file)
    except (OSError, ValueError, EOFError, pyarrow.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CommandError(f"cannot read {str(path)!r}: {shorten(reason, 300)}") from None


def _open(path: Path) -> BinaryIO:
    if stat.S_ISREG(os.stat(path).st_mode):
        return path.open("rb")
    return io.BytesIO(path.read_bytes())


def _parsed(parse: Callable[[], Any]) -> Any:
    """Call the parser of another library; a damaged file may make it raise any error, which becomes a ValueError."""
    import pyarrow

    try:
        return parse()
    except (OSError, ValueError, EOFError, MemoryError, pyarrow.ArrowException):
        raise
    except Exception as error:
        raise ValueError(f"the file is damaged ({error.args[0] if error.args else type(error).__name__})") from None


def _read_csv(file: BinaryIO) -> Any:
    return _read_separated(file, ",")


def _read_tsv(file: BinaryIO) -> Any:
    return _read_separated(file, "\t")


def _read_separated(file: BinaryIO, delimiter: str) -> Any:
    from pyarrow import csv

    header = _header(file)
    read = csv.ReadOptions(block_size=max(LONGEST_LINE, 8 * len(header)))
    names = _names(header, delimiter, read)
    if file.seek(0, os.SEEK_END) == len(header):
        file = io.BytesIO(header + b"\n")  # without the line end, pyarrow says that the file is empty
    file.seek(0)
    # A blank line is ignored, unless there is a single column: then it is an empty cell.
    parse = csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=len(names) > 1, newlines_in_values=True)
    try:
        return csv.read_csv(file, read, parse)
    except ValueError as error:
        place = _bad_line(file, delimiter, len(names))
        if place is None and "straddling" in str(error):
            place = f"a line is longer than {read.block_size} bytes, or a quote is left open"
        raise ValueError(place or str(error)) from None


def _header(file: BinaryIO) -> bytes:
    """Read the first line, and those after it as long as a quote is open."""
    lines = file.readline()
    while lines.count(b'"') % 2 and len(lines) < LONGEST_LINE and (line := file.readline()):
        lines += line
    header = re.match(rb'(?:[^"\r\n]+|"[^"]*")*', lines)[0]  # type: ignore[index]
    if lines[len(header) :].startswith(b'"'):
        raise ValueError("a quote is left open in line 1")
    try:
        text = header.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"line 1 is no text in UTF-8 ({error.reason} at byte {error.start + 1})") from None
    if "\0" in text:
        raise ValueError("line 1 holds zero bytes, so that it is no text in UTF-8")
    if not text.strip():
        raise ValueError("line 1 is blank, where the names of the columns should be")
    return header


def _names(header: bytes, delimiter: str, read: Any) -> list[str]:
    """Names of the columns; raises ValueError if line 1 is a row of data, which would be lost."""
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    names: list[str] = csv.read_csv(io.BytesIO(header + b"\n"), read, parse).column_names
    missing = csv.ConvertOptions().null_values
    numbers = [name for name in names if is_number(name)]
    fraction = next((name for name in numbers if not name.strip().isdecimal() and re.search("[0-9]", name)), None)
    if numbers and all(is_number(name) or name in missing for name in names):
        raise ValueError("line 1 is all numbers, where the names of the columns should be")
    if fraction is not None:
        raise ValueError(f"line 1 holds a number, {shorten(fraction)}, where the names of the columns should be")
    return names


def _bad_line(file: BinaryIO, delimiter: str, n_columns: int) -> str | None:
    """Describe the first line whose number of cells is not that of the columns; Python's reader tells its number."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
    rows, line = text_csv.reader(text, delimiter=delimiter), 1
    try:
        for row in rows:
            if row and len(row) != n_columns:
                return f"line {line} has not {n_columns} cells but {len(row)}: {shorten(delimiter.join(row))!r}"
            line = rows.line_num + 1
    except text_csv.Error:
        pass  # a cell is longer than Python's reader allows
    finally:
        text.detach()
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number as files write it; `float` accepts 2019_2020 too."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def _read_parquet(file: BinaryIO) -> Any:
    from pyarrow import parquet

    return _parsed(lambda: _validated(parquet.ParquetFile(file).read()))


def _read_feather(file: BinaryIO) -> Any:
    from pyarrow import feather

    return _parsed(lambda: _validated(feather.read_table(file)))


def _validated(table: Any) -> Any:
    """Check all values and the names of columns now; Arrow would check them only when they are used."""
    table.validate(full=True)
    table.column_names  # noqa: B018
    return table


def _read_npy(file: BinaryIO) -> NDArray[Any]:
    """Read an array (n,) or (n, d) of numbers as (n, d)."""
    if isinstance(file, io.BytesIO):
        matrix = undamaged(lambda: np.lib.format.read_array(file, allow_pickle=False))
    else:
        matrix = map_npy(file.name)
    if matrix.ndim not in (1, 2):
        raise ValueError("it does not hold an array of one or two dimensions")
    if matrix.dtype.kind not in "iuf":
        raise ValueError(f"it holds {matrix.dtype}, not numbers")
    return matrix.reshape(len(matrix), -1) if len(matrix) else matrix.reshape(0, 1)


READERS: dict[str, Callable[[Any], Any]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".npy": _read_npy,
}
