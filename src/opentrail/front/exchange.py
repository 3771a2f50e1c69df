# SPDX-License-Identifier: Apache-2.0
"""One request of a client, and how its answer is written (RFC 9112)."""

from collections.abc import Callable
from typing import Protocol

from opentrail.capture.call import Tls
from opentrail.capture.headers import STATUS_LINES, Headers, lines
from opentrail.capture.stream import Stream

_NO_BODY = frozenset({204, 304})


class Way(Protocol):
    """What an exchange needs of its connection."""

    peer: str
    tls: Tls | None
    lost: bool
    """Whether the client is gone."""

    def takes_more(self, exchange: "Exchange") -> bool:
        """Whether another request can follow ``exchange``."""
        ...

    def answered(self, exchange: "Exchange") -> None:
        """Go on, once ``exchange`` is answered."""
        ...

    def write(self, data: bytes) -> None:
        """Send ``data`` now; nothing is done once the connection is closed."""
        ...

    def write_soon(self, data: bytes) -> None:
        """Send ``data`` at the end of the loop's turn, before whatever is written later."""
        ...

    async def drain(self) -> None:
        """Return when there is room for more. Raises: ClientGone."""
        ...

    def close(self) -> None:
        """Close the connection once the client has taken what was written."""
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


class Exchange:
    """One request, and the way back for its answer. Satisfies ``capture.reply.Client``."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_gone",
        "announced",
        "answered",
        "expects",
        "headers",
        "http10",
        "keep_alive",
        "method",
        "path",
        "peer",
        "query",
        "ready",
        "stream",
        "tls",
    )

    def __init__(self, connection: Way, stream: Stream) -> None:
        self._connection = connection
        self._chunked = False
        self._gone: Callable[[], None] | None = None
        self.answered = False
        """Whether the whole answer was handed over."""
        self.announced = 0
        """The body's length as the head says it; 0 when it says none."""
        self.ready = False
        """Whether enough of the body has come for the call to begin."""
        self.stream = stream
        self.peer = connection.peer
        self.tls = connection.tls
        self.expects = False
        """Whether the client waits for our word before it sends the body."""
        self.keep_alive = True
        self.http10 = False
        self.method = self.path = self.query = ""
        self.headers: Headers = []

    def answer(self, status: int, headers: Headers, body: bytes, *, last: bool = False) -> None:
        """Send a whole answer; ``last``: the connection takes no other request."""
        if last:
            self.keep_alive = False
        framing = self._framing(status, headers)
        if self.method == "HEAD" or status in _NO_BODY:
            body = b""
        elif self._chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        closing = self._closing()
        data = b"".join((STATUS_LINES[status], lines(headers), framing, closing, b"\r\n", body))
        if closing:
            self._connection.write(data)
        else:
            self._connection.write_soon(data)
        self._finish()

    def _framing(self, status: int, headers: Headers) -> bytes:
        """Return the header that says where the body ends, unless ``headers`` do."""
        if self.method == "HEAD" or status in _NO_BODY or _has_length(headers):
            return b""
        self._chunked = not self.http10
        return b"transfer-encoding: chunked\r\n" if self._chunked else b""

    def _closing(self) -> bytes:
        if self._connection.takes_more(self):
            return b""
        return b"connection: close\r\n"

    def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer whose body streams."""
        framing = self._framing(status, headers)
        head = (STATUS_LINES[status], lines(headers), framing, self._closing(), b"\r\n")
        self._connection.write(b"".join(head))

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body; return when there is room for more. Raises: ClientGone."""
        self._connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
        await self._connection.drain()

    def end(self) -> None:
        """End the body."""
        if self._chunked:
            self._connection.write(b"0\r\n\r\n")
        self._finish()

    def break_off(self) -> None:
        """Close the connection: the client must not take what it has for the whole answer."""
        self.answered = True
        self._gone = None
        if self.http10:
            self._connection.abort()  # it would take a closed connection for the body's end
        else:
            self._connection.close()

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have ``call`` called if the client goes before the answer has ended."""
        self._gone = call
        if self._connection.lost:
            self.gone()

    def gone(self) -> None:
        """Tell whoever wants to know that the client is gone."""
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()

    def _finish(self) -> None:
        self.answered = True
        self._gone = None
        self._connection.answered(self)


def _has_length(headers: Headers) -> bool:
    for name, _ in headers:
        if name == b"content-length" or name.lower() == b"content-length":
            return True
    return False
