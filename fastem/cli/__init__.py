"""The `fastem` command; needs the packages that `fastem[cli]` installs."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastem.cli.errors import INTERRUPTED, USAGE, CommandError, one_line

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["main"]

OPTIONAL = {"matplotlib", "pyarrow", "rich", "typer"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows the name of the command; by default `sys.argv[1:]`.

    Returns
    -------
    int
        The exit status: 0 for success, 2 for an error (told in one line on
        stderr), 130 if interrupted from the keyboard.

    Examples
    --------
    >>> from fastem.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    fastem ...
    0
    """
    try:
        with _heard_interrupts():
            status = _run(list(sys.argv[1:] if arguments is None else arguments))
    except CommandError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        status = INTERRUPTED
    except MemoryError:
        return _fail("out of memory")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in OPTIONAL:
            raise
        return _fail(f"this needs {package}; install it with: pip install 'fastem[cli]'")
    if status == INTERRUPTED:
        print("fastem: interrupted", file=sys.stderr)
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
            raise CommandError(error.format_message()) from None
        if type(error).__name__ == "Abort":
            return INTERRUPTED
        raise
    return int(status or 0)


def _fail(message: str) -> int:
    print(f"fastem: error: {one_line(message)}", file=sys.stderr)
    return USAGE


@contextmanager
def _heard_interrupts() -> Iterator[None]:
    """Repeat a Ctrl-C that falls into a callback of the compiler, where Python can only drop it."""
    usual = sys.unraisablehook

    def repeat(unraisable: UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            return usual(unraisable)
        timer = threading.Timer(0.1, _thread.interrupt_main)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = usual
