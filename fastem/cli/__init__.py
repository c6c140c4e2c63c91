"""The `fastem` command; needs the packages that `fastem[cli]` installs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Arguments after the name of the command. None takes `sys.argv[1:]`, and
        assumes that the process ends after this call.

    Returns
    -------
    int
        The exit status: 0 for success; 2 for an error, with one line on stderr;
        128 plus the number of a signal that ended the command (130 for Ctrl-C);
        141 if the reader of stdout has closed it.

    Examples
    --------
    >>> from fastem.cli import main
    >>> main(["--version"])  # doctest: +ELLIPSIS
    fastem ...
    0
    """
    try:
        from fastem.cli.running import leave_quietly, run

        status = run(list(sys.argv[1:] if arguments is None else arguments))
        if arguments is None:
            leave_quietly()
    except KeyboardInterrupt:  # before the command has begun, or when it has ended
        print("fastem: interrupted", file=sys.stderr)
        return 130
    return status
