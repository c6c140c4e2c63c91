"""The `fastem` command; needs the packages that `fastem[cli]` installs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from fastem.cli.errors import INTERRUPTED, PIPE_CLOSED, USAGE, CommandError, PipeClosedError
from fastem.cli.process import Stopped, complain, leave_quietly, surroundings

__all__ = ["main"]

OPTIONAL = {"matplotlib", "pyarrow", "rich", "typer"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows the name of the command; by default `sys.argv[1:]`, and the
        process is taken to end afterwards.

    Returns
    -------
    int
        The exit status: 0 for success, 2 for an error (told in one line on
        stderr), 128 and the number of the signal if one ended it (130 if
        interrupted from the keyboard; 141 if who read stdout has gone).

    Examples
    --------
    >>> from fastem.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    fastem ...
    0
    """
    status = _status(list(sys.argv[1:] if arguments is None else arguments))
    if arguments is None:
        leave_quietly()
    return status


def _status(arguments: list[str]) -> int:
    try:
        with surroundings():
            status = _run(arguments)
    except PipeClosedError:
        return PIPE_CLOSED
    except CommandError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Stopped as stop:
        complain(f"ended by {signal.Signals(stop.number).name}")
        return 128 + stop.number
    except MemoryError:
        return _fail("out of memory")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in OPTIONAL:
            raise
        return _fail(f"this needs {package}; install it with: pip install 'fastem[cli]'")
    if status == INTERRUPTED:
        complain("interrupted")
    return status


def _run(arguments: list[str]) -> int:
    from typer.main import get_command

    from fastem.cli.commands import application

    try:
        command = get_command(application)
        status = command.main(arguments or ["--help"], prog_name="fastem", standalone_mode=False)
    except Exception as error:
        # Typer's own complaints, whose class moved between its versions.
        if hasattr(error, "format_message"):
            raise CommandError(error.format_message().replace("Value error, ", "")) from None
        if type(error).__name__ == "Abort":
            return INTERRUPTED
        raise
    return int(status or 0)


def _fail(message: str) -> int:
    complain(f"error: {message}")
    return USAGE
