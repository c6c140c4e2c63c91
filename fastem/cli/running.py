"""Run a command from its arguments, and turn its errors into an exit status."""

from __future__ import annotations

import signal

from fastem.cli.errors import INTERRUPTED, PIPE_CLOSED, USAGE, CommandError, PipeClosedError
from fastem.cli.process import Stopped, complain, leave_quietly, surroundings

__all__ = ["leave_quietly", "run"]

OPTIONAL = {"matplotlib", "pyarrow", "rich", "typer"}


def run(arguments: list[str]) -> int:
    """Run a command and return its exit status; print one line that says why, if it ends early."""
    try:
        with surroundings():
            status = _command(arguments)
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


def _command(arguments: list[str]) -> int:
    from typer.main import get_command

    from fastem.cli.commands import application

    try:
        command = get_command(application)
        status = command.main(arguments or ["--help"], prog_name="fastem", standalone_mode=False)
    except Exception as error:
        # Errors of typer itself, whose class is in other modules in other versions.
        if hasattr(error, "format_message"):
            raise CommandError(error.format_message().replace("Value error, ", "")) from None
        if type(error).__name__ == "Abort":
            return INTERRUPTED
        raise
    return int(status or 0)


def _fail(message: str) -> int:
    complain(f"error: {message}")
    return USAGE
