# SPDX-License-Identifier: Apache-2.0
"""What was sent to us before: read from the log at start, beside the calls, and looked up in it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from opentrail.capture.intake_window import WINDOW_MS, Window
from opentrail.clock import Clock
from opentrail.errors import Corrupt
from opentrail.eventlog.base import Entry, Origin
from opentrail.eventlog.reader import SegmentReader

LOADED_AT_ONCE = 250
"""Records noted between two looks at whatever else there is to do: 1 ms."""
LOADED_BYTES_AT_ONCE = 64 * 1024
"""Bytes of the log looked through meanwhile, where few or none of its records were sent to us: the
records of some 250 calls, 1 ms if each is a frame of its own."""
LOADING_REST = 4
"""While calls pass, reading rests this many times as long as it worked: it takes a fifth of the loop."""
LOADED_SEGMENTS_MAX = 8
"""Segments of the log that are read at start to know what came in: two million records, some ten
seconds, in which only the intake has to wait."""
AGAIN_S = 1.0
"""After this the log is read anew when it could not be read: a full table of files, a disk that hangs."""


class Before:
    """The records that came in of late. Owned by the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log: SegmentReader | None = None
        self.window = Window(self._read)
        self.unknown = "it is starting; try again"
        """Why it is not known yet what came in; "" once it is."""

    def _read(self, position: int) -> bytes | None:
        assert self._log is not None, "nothing is found before there is a log"
        try:
            return self._log.read(position).data
        except KeyError:
            return None

    def open(self, data: Path, calls: Callable[[], int] = lambda: 0) -> None:
        """Read the log of the directory ``data`` from now on; the loop has its turns meanwhile.

        ``calls``: how many are under way, which go before.
        """
        log = SegmentReader(data / "log")
        steps = self.load(log)
        loop, time_s = asyncio.get_running_loop(), self._clock.monotonic

        def again() -> None:
            nonlocal steps
            if self._log is log:  # else another one is read by now
                steps = self.load(log)
                step()

        def step() -> None:
            began_s = time_s()
            try:
                for _ in steps:
                    rest_s = (time_s() - began_s) * LOADING_REST if calls() else 0.0
                    loop.call_later(rest_s, step)
                    return
            except OSError:
                loop.call_later(AGAIN_S, again)

        step()

    def load(self, log: SegmentReader) -> Iterator[None]:
        """Read ``log`` from now on; yield between pieces of work, until all of the window is known.

        Until then senders are told to come back. Raises: OSError: it must be read again.
        """
        if self._log is not None and self._log is not log:
            self._log.close()
        self._log = log
        self.unknown = "it is still reading what came in before; try again"
        window = self.window
        window.clear()
        try:
            start = log.since(self._clock.now_ms() - WINDOW_MS, LOADED_SEGMENTS_MAX)
            for piece in _pieces(start, log.of_origin(Origin.INTAKE, start, log.durable_end())):
                window.load(piece)
                yield
                if self._log is not log:
                    return  # another log is being read by now
        except Corrupt as error:
            self.unknown = f"what came in before cannot be read: {error}"
        except OSError as error:
            self.unknown = f"what came in before cannot be read now: {error.strerror}"
            raise
        else:
            self.unknown = ""


def _pieces(start: int, frames: Iterator[tuple[int, list[Entry]]]) -> Iterator[list[Entry]]:
    """Yield what ``frames`` bring from ``start`` on, in pieces that take about as long each."""
    piece: list[Entry] = []
    for end, found in frames:
        piece += found
        while len(piece) >= LOADED_AT_ONCE:
            yield piece[:LOADED_AT_ONCE]
            del piece[:LOADED_AT_ONCE]
            start = end
        if end - start >= LOADED_BYTES_AT_ONCE:
            yield piece
            piece, start = [], end
    if piece:
        yield piece
