"""Work that signals must not interrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Signals that ask a process to end; their handlers may raise exceptions.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Delay signals that ask the process to end until the work inside is done, which must be short.

    Python handles signals in the main thread only, so this does nothing in other threads.

    Examples
    --------
    >>> import signal
    >>> from fastem.system.interrupts import undisturbed
    >>> done = []
    >>> try:
    ...     with undisturbed():
    ...         signal.raise_signal(signal.SIGINT)
    ...         done.append("all of it")
    ... except KeyboardInterrupt:
    ...     print(done)
    ['all of it']
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[tuple[int, FrameType | None]] = []
    usual = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    try:
        for number in usual:
            signal.signal(number, lambda *signal_and_frame: heard.append(signal_and_frame))
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for number, frame in heard[:1]:
            usual[number](number, frame)
