"""Errors that the command line reports in one line, and text that is safe to print to a terminal."""

import difflib
from collections.abc import Iterable

USAGE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141  # 128 + SIGPIPE, as other commands return

JOINERS = "\u200c\u200d"  # characters of no width that words and emoji need


class CommandError(Exception):
    """An error that the user can correct; the command ends with its message and status 2."""


class PrintError(CommandError):
    """Printing to stdout failed."""


class PipeClosedError(PrintError):
    """The reader of stdout, such as `head`, has closed it: the command ends without a message."""


def printable(text: str) -> str:
    r"""Replace characters that are not printable, and bytes that are not text, by escapes.

    Examples
    --------
    >>> from fastem.cli.errors import printable
    >>> print(printable("\x1b[31mred\n"))
    \x1b[31mred\n
    """
    return "".join(letter if letter.isprintable() or letter in JOINERS else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    code = ord(letter)
    byte_of_a_name = 0xDC80 <= code <= 0xDCFF
    return f"\\x{code - 0xDC00:02x}" if byte_of_a_name else letter.encode("unicode_escape").decode()


def one_line(message: str) -> str:
    """Join the lines of a message and escape characters that are not printable."""
    return printable(" ".join(message.split()))


def shorten(text: str, most: int = 60) -> str:
    """Cut a text that is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown(name: str) -> str:
    """Quote a name from a file or from the user, cut short."""
    return repr(shorten(name))


def close_names(wanted: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' if some known name resembles the wanted one, else ''."""
    # The time of a comparison grows with the product of the lengths.
    similar = difflib.get_close_matches(wanted[:100], [name for name in known if len(name) <= 100], n=3)
    return f"; did you mean {' or '.join(map(shown, similar))}?" if similar else ""
