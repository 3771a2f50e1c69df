# SPDX-License-Identifier: Apache-2.0
"""One connection to an upstream: a call at a time, its answer read as it comes.

RFC 9112 through llhttp (httptools). A call is written once and never again (docs/adr/0008): what
fails before anything was written is ``Unreachable``, what fails later is ``NoAnswer``.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from opentrail.capture.headers import (
    NAMES,
    Headers,
    end_to_end,
    only_chunked,
    sendable,
    text_map,
)
from opentrail.capture.stream import Stream
from opentrail.errors import Unavailable

HEAD_BYTES_MAX = 64 * 1024
"""Longest head taken from an upstream. S3 user metadata alone may have 2 KB; presigned locations
and session tokens go to some KB."""
STATUSES = range(200, 600)
"""What a final answer can have (RFC 9110, 15); 101 would turn the connection into another one."""
INTERIM = range(100, 101)
EARLY_HINTS = range(102, 200)
"""Interim answers (RFC 9110, 15.2), all but 101: they are not the answer."""
NO_BODY = frozenset({204, 304})
"""Their Content-Length, if any, is not that of what follows (RFC 9110, 8.6): it stays behind."""

NO_VALID_ANSWER = "the upstream closed the connection or sent no valid answer"
TIMED_OUT = "the upstream did not answer in time"
_BROKEN_OFF = "the upstream's answer broke off"


class Unreachable(Unavailable):
    """No connection could be made: the upstream did not see the call."""


class NoAnswer(Unavailable):
    """The call was sent, or partly, and no status came back: it may have taken effect."""


class BrokenAnswer(Unavailable):
    """The status came, the body broke off."""


class Answer:
    """An answer: the head, and a body that is here or still streaming."""

    __slots__ = ("_channel", "headers", "status", "stream", "whole")

    def __init__(
        self,
        status: int,
        headers: Headers,
        whole: bytes = b"",
        stream: Stream | None = None,
        channel: "Channel | None" = None,
    ) -> None:
        """``whole`` is the body, or ``stream`` the one that ``channel`` brings."""
        self.status = status
        self.headers = headers
        """End-to-end headers only, names in lower case."""
        self.whole = whole
        """What has come of the body, or all of it when there is no ``stream``."""
        self.stream = stream
        """What is still to come, or to be taken; None when all of it is in ``whole``."""
        self._channel = channel

    def header_map(self) -> dict[str, str]:
        """Return the headers with names in lower case; the last value wins."""
        return text_map(self.headers)

    async def take(self, bytes_max: int) -> None:
        """Move the body into ``whole``, as far as it is no longer than ``bytes_max``.

        Of a longer one ``whole`` is then the beginning. Raises: BrokenAnswer.
        """
        stream = self.stream
        while stream is not None and len(self.whole) <= bytes_max:
            self.whole += await stream.next()
            if stream.ended:
                self.stream = stream = None

    def close(self) -> None:
        """Drop the connection when the body was not read to its end."""
        if self.stream is not None and self._channel is not None:
            self._channel.give_up(self)


class Channel(asyncio.Protocol):
    """A connection. ``free`` is called when it can take another call."""

    def __init__(
        self, free: Callable[["Channel"], None], lost: Callable[["Channel"], None]
    ) -> None:
        """``lost`` is called once when the connection is gone."""
        self._free = free
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._head_bytes = 0
        """Bytes that came of heads and trailers since the last of a body."""
        self._waiter: asyncio.Future[Answer] | None = None
        self._answer: Answer | None = None
        self._stream: Stream | None = None
        self._until_closed = False
        self._headless = False
        self._interim = False
        self._complete = False
        self._sent = True
        self._reusable = False
        self._room: asyncio.Future[None] | None = None
        self._full = False
        self.since_s = 0.0
        """When the upstream was last heard of, or a call was written to it, in the loop's time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it

    # The call

    def call(self, data: bytes, *, method: bytes, whole: bool) -> asyncio.Future[Answer]:
        """Write a request; return a future of its answer, whose exception is NoAnswer.

        ``whole``: ``data`` is all of it; else ``write`` brings the rest, and ``finish`` ends it.
        """
        self._headless = method == b"HEAD"
        self._answer = self._stream = None
        self._complete = self._interim = False
        self._head_bytes = 0
        self._sent = whole
        self.since_s = self._loop.time()
        self._waiter = waiter = self._loop.create_future()
        self.transport.write(data)
        return waiter

    async def write(self, data: bytes) -> None:
        """Write more of the request; returns when there is room for more. Raises: NoAnswer."""
        if self.transport.is_closing():
            raise NoAnswer(NO_VALID_ANSWER)
        self.transport.write(data)
        self.since_s = self._loop.time()
        if self._full:
            self._room = self._loop.create_future()
            await self._room

    def finish(self, data: bytes) -> None:
        """Write the last of the request."""
        if not self.transport.is_closing():
            self.transport.write(data)
            self._sent = True
            self.since_s = self._loop.time()

    def pause_writing(self) -> None:
        """Have ``write`` wait."""
        self._full = True

    def resume_writing(self) -> None:
        """Have ``write`` go on."""
        self._full = False
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # The answer

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self.since_s = self._loop.time()
        if self._waiter is None and self._stream is None:
            self.abort()  # nobody asked: what it says could be taken for the next call's answer
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._reusable = False
            if not self._complete:
                self._break(NO_VALID_ANSWER)
                return
        if self._head_bytes > HEAD_BYTES_MAX and not self._complete:
            self._break(NO_VALID_ANSWER)
            return
        self._hand_over()
        if self._complete:
            self._settle()

    def _hand_over(self) -> None:
        """Tell whoever waits for the head; only now, when nothing that came with it was wrong."""
        answer, waiter = self._answer, self._waiter
        if answer is not None and waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(answer)

    def on_message_begin(self) -> None:
        """Begin another head."""
        if self._complete:
            self._reusable = False  # more than one answer to one call
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; what follows the body (trailers) is not looked at again."""
        if self._answer is None:
            self._headers.append((NAMES[name][0], value))

    def on_headers_complete(self) -> None:
        """Begin the answer, unless it is an interim one."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        self._interim = status in INTERIM or status in EARLY_HINTS
        if self._interim:
            return
        headers, self._headers = self._headers, []
        length = sum([len(name) + len(value) for name, value in headers])
        good = status in STATUSES and sendable(headers) and length <= HEAD_BYTES_MAX
        if not (good and only_chunked(headers)):
            raise httptools.HttpParserInvalidStatusError(NO_VALID_ANSWER)
        names = {name for name, _ in headers}
        self._until_closed = b"content-length" not in names and b"transfer-encoding" not in names
        forwarded = end_to_end(headers)
        if status in NO_BODY:
            forwarded = [pair for pair in forwarded if pair[0] != b"content-length"]
        self._stream = Stream(self.transport)
        self._answer = Answer(status, forwarded, stream=self._stream, channel=self)
        if self._headless or status in NO_BODY:
            self._end()
            self._reusable = self._parser.get_http_version() == "1.1" and not _closes(headers)
            # This one would wait for a body of the announced length.
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._head_bytes = 0
        if self._complete:
            self._reusable = False  # there is none: the next answer would begin in the middle of it
        elif self._stream is not None:
            self._stream.feed(body)

    def on_message_complete(self) -> None:
        """End the answer."""
        if self._interim or self._complete:
            self._interim = False
            return
        self._reusable = self._parser.should_keep_alive()
        self._end()

    def _end(self) -> None:
        self._complete = True
        if self._stream is not None:
            self._stream.end()

    def _settle(self) -> None:
        """Let the connection take another call, if both sides are done with this one."""
        self._stream = None
        self._answer = None
        if self._reusable and self._sent and not self.transport.is_closing():
            self._free(self)
        else:
            self.transport.close()

    # Its end

    def check(self, now_s: float, silence_s_max: float) -> None:
        """Give up an upstream that was silent for longer than it may be."""
        paused = self._stream is not None and self._stream.paused
        busy = self._waiter is not None or self._stream is not None
        if busy and not paused and (self._sent or self._full):
            if now_s - self.since_s > silence_s_max:
                self._break(TIMED_OUT)
        elif busy:
            self.since_s = now_s  # it is our turn, or the client's, to go on

    def give_up(self, answer: Answer) -> None:
        """Close the connection, of whose answer nobody wants the rest."""
        if self._answer is answer:
            self._break(_BROKEN_OFF)

    def fail(self, message: str) -> None:
        """Give up the call, if there is one: the rest of it does not come, or nobody waits longer."""
        self._break(message)

    def abort(self) -> None:
        """Close the connection at once."""
        self._reusable = False
        self.transport.abort()

    def _break(self, message: str) -> None:
        """Tell whoever waits that the call got no answer, or half of one; close the connection."""
        self._tell(message)
        self.abort()

    def _tell(self, message: str) -> None:
        waiter, self._waiter = self._waiter, None
        stream, self._stream = self._stream, None
        self._answer = None
        if waiter is not None and not waiter.done():
            waiter.set_exception(NoAnswer(message))
        if stream is not None:
            stream.fail(BrokenAnswer(_BROKEN_OFF))

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was under way: a body without a length ends with its connection."""
        if self._stream is not None and self._until_closed and exc is None and not self._complete:
            self._end()
            self._stream = None
        self._tell(NO_VALID_ANSWER)
        del self._parser  # it refers to us: only a garbage collection would end both
        self._lost(self)
        self.resume_writing()


def _closes(headers: Headers) -> bool:
    return any(name == b"connection" and b"close" in value.lower() for name, value in headers)
