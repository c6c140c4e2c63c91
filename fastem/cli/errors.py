"""Errors that the command line tells in one line."""

import difflib
from collections.abc import Iterable

USAGE = 2
INTERRUPTED = 130


class CommandError(Exception):
    """Something the user can mend; ends the command with its message and status 2."""


def one_line(message: str) -> str:
    """Join the lines of a message and hide characters that a terminal would act on."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))


def close_names(wanted: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' if some known name resembles the wanted one, else ''."""
    similar = difflib.get_close_matches(wanted, list(known), n=3)
    return f"; did you mean {' or '.join(map(repr, similar))}?" if similar else ""
