# SPDX-License-Identifier: Apache-2.0
"""One client's connection: HTTP/1.1 requests in, answers out, in order.

RFC 9112 through llhttp (httptools), which refuses what two servers could read differently.
"""

import asyncio
from collections import deque
from typing import Protocol, cast

import httptools

from opentrail.capture.arrival import ClientGone, RequestBody, address_in
from opentrail.capture.call import Tls
from opentrail.capture.headers import NAMES, STATUS_LINES, Headers, lines, only_chunked
from opentrail.capture.stream import Stream
from opentrail.event.caps import BODY_KEPT_MAX
from opentrail.front.exchange import Exchange
from opentrail.front.head import HEAD_BYTES_MAX, HeadFilter
from opentrail.front.tls import tls_of

SILENCE_S_MAX = 60.0
"""Longest silence of a client within a request, and longest time for its head, and longest wait
for it to take what it asked for: as long as botocore itself waits. Without it clients that never
end would hold memory and connections for ever."""
IDLE_S_MAX = 60.0
"""How long a connection is kept between two requests. Clients keep theirs for about as long, and
one that finds it closed only connects anew."""
_VERSIONS = frozenset({"1.0", "1.1"})


class Calls(Protocol):
    """Where the requests of all connections go; ``front.server.Server`` is it."""

    def begin(self, exchange: "Exchange") -> None:
        """Have a request answered, not before whoever calls this is done."""
        ...

    def abandoned(self, exchange: "Exchange") -> None:
        """Count a request that never came to its end."""
        ...

    def opened(self, connection: "Connection") -> bool:
        """Note a connection; False: there are too many."""
        ...

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
        ...

    def flush_soon(self, connection: "Connection") -> None:
        """Have the connection flushed at the end of the loop's turn, together with others."""
        ...

    @property
    def closing(self) -> bool:
        """Whether no more requests are taken."""
        ...


class Connection(asyncio.Protocol):
    """One connection; its requests are answered one after another."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._parser = httptools.HttpRequestParser(self)
        self._head = HeadFilter()
        self._url = b""
        self._headers: Headers = []
        self._reading: Exchange | None = None
        """The request whose body is coming."""
        self._current: Exchange | None = None
        """The request that is being answered."""
        self._queue: deque[Exchange] = deque()
        self._refusal = b""
        """What is sent once all requests are answered: what came after them was no HTTP."""
        self._bodiless = 0
        """Bytes that came of a body without being any of it: chunk sizes, trailers."""
        self._last = False
        """Whether no further request is looked at."""
        self._unsent: list[bytes] = []
        """Answers that wait for the end of the loop's turn."""
        self._room: asyncio.Future[None] | None = None
        self._full_since_s = 0.0
        self.lost = False
        self.peer = ""
        self.tls: Tls | None = None
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, unless there are too many."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        peer = transport.get_extra_info("peername")
        self.peer = address_in(peer[0]) if peer else ""
        self.tls = tls_of(transport)
        if not self._calls.opened(self):
            self._refuse(503, "OpenTrail has too many connections now; try again later.")
        elif self._calls.closing:
            self.transport.close()  # it was accepted just before; nobody would tell it of the end

    # What comes

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse what is no HTTP, and a head that does not end."""
        if self._last:
            return
        head = self._head
        if not head.under_way:
            self._heard_s = self._loop.time()
        heads = head.count
        in_head = head.inside
        data = head.passed(data)
        self._bodiless += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Only HTTP/1.1 is spoken here.")
        except httptools.HttpParserError:
            self._refuse(400, "Invalid HTTP request received.")
        else:
            unended = in_head and heads == head.count and head.too_long(len(data))
            if unended or (self._reading is not None and self._bodiless > HEAD_BYTES_MAX):
                self._refuse(400, f"The headers are longer than {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """Begin another head."""
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header; what follows the body (RFC 9110, 6.5.1) is none."""
        if self._head.inside:
            self._headers.append((NAMES[name][0], value))

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._head.ended()
        self._bodiless = 0
        headers, self._headers = self._headers, []
        if self._last:
            return
        exchange = Exchange(self, Stream(self.transport, BODY_KEPT_MAX))
        exchange.headers = headers
        exchange.method = self._parser.get_method().decode()
        exchange.path, exchange.query = _target(self._url)
        version = self._parser.get_http_version()
        if version not in _VERSIONS or self._parser.should_upgrade():
            # Of an upgrade the parser would leave the body, which is of another protocol, unread.
            raise httptools.HttpParserError(f"HTTP/{version}")
        exchange.http10 = version != "1.1"
        exchange.keep_alive = self._parser.should_keep_alive() and not exchange.http10
        _read(exchange, headers)
        self._reading = exchange
        if exchange.expects and self._current is None:
            self._go_ahead(exchange)

    def _go_ahead(self, exchange: Exchange) -> None:
        """Tell a client that waits for it to send the body (RFC 9110, 10.1.1)."""
        exchange.expects = False
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        """Take a piece of a body; what comes of it after the answer is thrown away."""
        exchange = self._reading
        self._bodiless = 0
        if exchange is not None and not exchange.answered:
            exchange.stream.feed(piece)
            if not exchange.ready:
                self._begin_when_ready(exchange)

    def on_message_complete(self) -> None:
        """End a request's body; what comes next is another head."""
        self._head.begins()
        exchange, self._reading = self._reading, None
        if exchange is None:
            return
        exchange.stream.end()
        if not exchange.keep_alive:
            self._last = True
        if exchange.answered:
            self._go_on(exchange)
        elif not exchange.ready:
            self._begin_when_ready(exchange)

    # The answers, in order

    def _begin_when_ready(self, exchange: Exchange) -> None:
        if not RequestBody.begins_with(exchange.stream, exchange.announced):
            return
        exchange.ready = True
        if self._current is None:
            self._start(exchange)
        else:
            self._queue.append(exchange)
            self.transport.pause_reading()

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._calls.begin(exchange)

    def takes_more(self, exchange: Exchange) -> bool:
        """Whether another request can follow ``exchange``."""
        return exchange.keep_alive and not self._calls.closing

    def answered(self, exchange: Exchange) -> None:
        """Go on, once ``exchange`` is answered and all of it has come."""
        if not exchange.stream.done:
            exchange.stream.fail(ClientGone())  # nobody wants the rest
        if self._reading is exchange:
            exchange.stream.take()
        else:
            self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        """Begin the next request, or close the connection after the last."""
        self._current = None
        self._heard_s = self._loop.time()
        if not exchange.keep_alive or self._calls.closing:
            self.close()
        elif self._queue:
            self._start(self._queue.popleft())
            if not self._queue:
                self.transport.resume_reading()
        elif self._refusal:
            self._send_refusal()
        elif self._reading is not None and self._reading.expects:
            self._go_ahead(self._reading)

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, after those before it, and close the connection."""
        if self._last:
            return
        self._last = True
        body = message.encode()
        head: Headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        head.append((b"content-length", b"%d" % len(body)))
        self._refusal = b"%b%b\r\n%b" % (STATUS_LINES[status], lines(head), body)
        broken, self._reading = self._reading, None
        if broken is not None and broken.ready:  # being answered, or waiting for its turn
            broken.keep_alive = False  # its answer is the last
            broken.stream.fail(ClientGone())
            return
        if broken is not None:
            self._calls.abandoned(broken)
        if self._current is None:
            self._send_refusal()

    def _send_refusal(self) -> None:
        self.write(self._refusal)
        self.close()

    # Flow, silence and the end

    def write(self, data: bytes) -> None:
        """Send ``data`` now, behind what waits."""
        self.flush()
        if not self.transport.is_closing():
            self.transport.write(data)

    def write_soon(self, data: bytes) -> None:
        """Send ``data`` at the end of the loop's turn.

        Many answers wait for the same fdatasync. Sent one right after another they wake a client
        that has many connections once, not once for each of them.
        """
        if not self._unsent:
            self._calls.flush_soon(self)
        self._unsent.append(data)

    def flush(self) -> None:
        """Send what waits."""
        if self._unsent:
            data, self._unsent = b"".join(self._unsent), []
            if not self.transport.is_closing():
                self.transport.write(data)

    def pause_writing(self) -> None:
        """Have ``drain`` wait."""
        self._full_since_s = self._loop.time()

    def resume_writing(self) -> None:
        """Have ``drain`` go on."""
        self._full_since_s = 0.0
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def drain(self) -> None:
        """Return when there is room for more. Raises: ClientGone."""
        if self._full_since_s and not self.lost:
            self._room = self._loop.create_future()
            await self._room
        if self.lost:
            raise ClientGone

    def check(self, now_s: float) -> None:
        """Give up a client that was silent, or did not take its answer, for too long."""
        closing = self.transport.is_closing()
        # A closed one ends when the client has taken what was written, however little that is.
        since_s = self._full_since_s or (self._heard_s if closing else now_s)
        if now_s - since_s > SILENCE_S_MAX:
            self.abort()
        elif closing:
            return
        elif self._reading is not None:
            paused = self._reading.stream.paused or bool(self._queue)
            if paused:
                self._heard_s = now_s
            elif now_s - self._heard_s > SILENCE_S_MAX:
                self._give_up(self._reading)
        elif self._current is None:
            wait_s = SILENCE_S_MAX if self._head.under_way else IDLE_S_MAX
            if now_s - self._heard_s > wait_s:
                self.transport.close()

    def close(self) -> None:
        """Close the connection once the client has taken what was written, or its time is up."""
        self._heard_s = self._loop.time()
        self.flush()
        self.transport.close()

    def _give_up(self, exchange: Exchange) -> None:
        """End a request whose body does not come."""
        if exchange.ready:
            exchange.stream.fail(ClientGone())
            if exchange.answered:
                self.close()
        else:
            self._refuse(408, "The request's body did not come.")

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def close_when_idle(self) -> None:
        """Close the connection now, if it waits for a request."""
        if self._current is None:
            self.flush()
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that the client did not wait for."""
        del exc
        self.lost = self._last = True
        del self._parser  # it refers to us: only a garbage collection would end both
        self._calls.closed(self)
        self.resume_writing()
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.stream.fail(ClientGone())
            if not reading.ready:
                self._calls.abandoned(reading)
        for exchange in self._queue:
            self._calls.abandoned(exchange)
        self._queue.clear()
        if self._current is not None:
            self._current.gone()


def _read(exchange: Exchange, headers: Headers) -> None:
    """Note what the head says of the body. Raises: HttpParserError: what cannot be passed on."""
    if not only_chunked(headers):
        raise httptools.HttpParserError("transfer-encoding")
    for name, value in headers:
        if name == b"content-length":
            exchange.announced = int(value)
        elif name == b"expect":
            exchange.expects = value.lower() == b"100-continue" and not exchange.http10


def _target(url: bytes) -> tuple[str, str]:
    """Return path and query of a request target. Raises: HttpParserError: it is none."""
    if not url.isascii():
        raise httptools.HttpParserInvalidURLError("not ASCII")
    if url.startswith(b"/") and b"#" not in url:
        path, _, query = url.decode().partition("?")
        return path, query
    parsed = httptools.parse_url(url)
    # An absolute target may have no path (RFC 9112, 3.2.1).
    return (parsed.path or b"/").decode(), (parsed.query or b"").decode()
