"""Set up the process for a command: stdout and stderr that may fail, signals, warnings."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, cast

from fastem.cli.errors import PipeClosedError, PrintError, one_line
from fastem.system.interrupts import ENDING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

USUAL = (signal.SIG_DFL, signal.default_int_handler)  # a signal that nohup or a shell ignores stays ignored


class Stopped(BaseException):
    """A signal that ends the process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stream:
    """A text stream that replaces characters which its encoding lacks, and passes its errors to a function.

    Parameters
    ----------
    stream : text file or None
        The stream to write to; None stands for a closed stream.
    failed : callable (Exception)
        Called when nothing can be written.
    """

    def __init__(self, stream: TextIO | None, failed: Callable[[Exception], None]) -> None:
        self._stream = stream
        self._failed = failed
        self._error: Exception | None = None  # kept, because a library may ignore that it cannot write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._attempt("write", text.encode(encoding, "replace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Write out the buffer."""
        self._attempt("flush")

    def _attempt(self, method: str, *arguments: str) -> None:
        try:
            if self._error is None and self._stream is None:
                raise ValueError("it is closed")
            if self._error is None:
                getattr(self._stream, method)(*arguments)
        except (OSError, ValueError) as error:
            self._error = error
        if self._error is not None:
            self._failed(self._error)


@contextmanager
def surroundings() -> Iterator[None]:
    """Give stdout that raises PrintError, stderr that never fails, exceptions for signals, one-line warnings."""
    _occupy_standard_descriptors()
    out = Stream(sys.stdout, partial(_refuse_print, sys.stdout))
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(cast(TextIO, out)))
        stack.enter_context(redirect_stderr(cast(TextIO, Stream(sys.stderr, lambda error: None))))
        stack.enter_context(_warnings_in_lines())
        stack.enter_context(_heard_interrupts(stack.enter_context(_ending_signals())))
        try:
            yield
        except BaseException:
            with suppress(PrintError):  # reported already, or less important than the present error
                out.flush()
            raise
        out.flush()


def complain(message: str) -> None:
    """Write a line to stderr, if that is possible."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            Stream(sys.stderr, lambda error: None).write(f"fastem: {one_line(message)}\n")


def leave_quietly() -> None:
    """Let an interrupt at Python's exit end the process, without a traceback."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _occupy_standard_descriptors() -> None:
    """Keep files from getting the descriptor of a closed standard stream: libraries would print into them."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)


def _refuse_print(stream: TextIO | None, error: Exception) -> None:
    """Raise PipeClosedError if the reader of stdout has closed it, PrintError for any other error."""
    if stream is sys.__stdout__:
        _drop_what_is_held_back(stream)
    if isinstance(error, BrokenPipeError):
        raise PipeClosedError("stdout is closed") from None
    reason = error.strerror if isinstance(error, OSError) else None
    raise PrintError(f"cannot print to stdout: {reason or error}") from None


def _drop_what_is_held_back(stream: TextIO | None) -> None:
    """Discard buffered output: Python would try to print it again at exit, and report the error."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]
        os.close(null)


@contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Show each warning once, in one line, without the line of source code that raised it."""
    shown = set()

    def show(message: Warning | str, *place: Any) -> None:
        if (text := f"warning: {message}") not in shown:
            shown.add(text)
            complain(text)

    usual = warnings.showwarning
    warnings.showwarning = cast(Any, show)
    try:
        yield
    finally:
        warnings.showwarning = usual


@contextmanager
def _ending_signals() -> Iterator[list[int]]:
    """Raise an exception for a signal that asks the process to end, so that temporary files are removed.

    Yields the list of the signals that have arrived.
    """
    heard: list[int] = []

    def stop(number: int, frame: object) -> None:
        heard.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    usual = {number: handler for number in ENDING if (handler := signal.getsignal(number)) in USUAL}
    for number in usual:
        signal.signal(number, stop)
    try:
        yield heard
    except Exception as error:
        if not heard:
            raise
        # An import that is interrupted may raise another error.
        raise (KeyboardInterrupt if heard[0] == signal.SIGINT else Stopped(heard[0])) from error
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


@contextmanager
def _heard_interrupts(heard: list[int]) -> Iterator[None]:
    """Repeat a signal that arrives in a callback of the compiler, where Python ignores the exception.

    After a signal other errors are not reported there: objects whose construction it has interrupted raise them.
    """
    usual = sys.unraisablehook

    def repeat(unraisable: UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt | Stopped):
            number = getattr(unraisable.exc_value, "number", signal.SIGINT)
            timer = threading.Timer(0.1, _thread.interrupt_main, (number,))
            timer.daemon = True
            timer.start()
        elif not heard:
            usual(unraisable)

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = usual
