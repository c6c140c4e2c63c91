"""Arrays of .npy files, whose headers are not trusted."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_REASON = 200


def map_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    r"""Map the array of a .npy file into memory.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    ndarray

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a .npy file or is damaged. The message gives the reason, but not the file's name.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastem.data.streams.npy import map_npy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cut.npy"
    ...     _ = path.write_bytes(b"\x93NUM")
    ...     map_npy(path)
    Traceback (most recent call last):
    ValueError: EOF: reading magic string, expected 8 bytes got 4
    """
    return undamaged(lambda: np.lib.format.open_memmap(path, mode="r"))


def undamaged(parse: Callable[[], Any]) -> Any:
    """Call numpy's parser; turn the errors of any class and length that damaged headers cause into ValueError."""
    try:
        return parse()
    except (OSError, MemoryError):
        raise
    except Exception as error:
        reason = str(error.args[0] if error.args else type(error).__name__)
        reason = f"{reason[:LONGEST_REASON]}..." if len(reason) > LONGEST_REASON else reason
        told = isinstance(error, (ValueError, EOFError))
        raise ValueError(reason if told else f"the file is damaged ({reason})") from None
