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
    try:
        from fastem.cli.running import leave_quietly, run

        status = run(list(sys.argv[1:] if arguments is None else arguments))
        if arguments is None:
            leave_quietly()
    except KeyboardInterrupt:  # before the command has begun, or when it has ended
        print("fastem: interrupted", file=sys.stderr)
        return 130
    return status
