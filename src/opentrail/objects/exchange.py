# SPDX-License-Identifier: Apache-2.0
"""Bounds what botocore leaves without a bound: how long an exchange takes, how often it is redirected.

botocore bounds the wait for each piece of an answer, never that for all of it: a server, or what
stands before it, that sends a byte now and then would be waited for for ever.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, MutableMapping
from http.client import RemoteDisconnected
from operator import attrgetter
from typing import IO, Any, Protocol, cast

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSPreparedRequest,
    AWSResponse,
)
from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

EXCHANGE_S_MAX = 60.0
"""From a request to the end of its answer: twice the silence that is borne, and more. Of an object that is
read, to the end of the headers."""
SENT_BYTES_S_MIN = 8_000
"""What is sent has a second more for so much: a slow line, on which a large log file takes minutes."""
HANG_UP_EVERY_S = 1.0
"""Then again, until it has ended: a connection that is being made has nothing to hang up yet."""

_session_of = attrgetter("_endpoint.http_session")
_pools_of = attrgetter("_endpoint.http_session._pool_classes_by_scheme")
"""botocore offers no other way to either."""


class _Sends(Protocol):
    def send(self, request: AWSPreparedRequest) -> AWSResponse: ...


class _Exchange:
    """A request and its answer. A thread hangs up when their time is over."""

    def __init__(self, seconds: float) -> None:
        self.sock: socket.socket | None = None
        """Here, for its connection forgets it once an answer without a length has begun."""
        self.is_late = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def _watch(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            self.is_late, seconds = True, HANG_UP_EVERY_S
            if self.sock is not None:
                with contextlib.suppress(OSError):
                    self.sock.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()


class _Mine(threading.local):
    exchange: _Exchange | None = None
    """What the calling thread is at."""

    def has(self, sock: socket.socket | None) -> None:
        """Let the exchange know its connection, a new one or one that was kept."""
        if self.exchange is not None:
            self.exchange.sock = sock


_mine = _Mine()


def _consume_headers(_self: object, fp: IO[bytes]) -> None:
    """Read on to the end of a "100 Continue"; where there is none botocore itself never ends."""
    while line := fp.readline():
        if not line.strip():
            return
    raise RemoteDisconnected("the connection ended within 100 Continue")


class _Plain(AWSHTTPConnection):
    _consume_headers = _consume_headers

    def connect(self) -> None:
        super().connect()
        _mine.has(self.sock)


class _Secret(AWSHTTPSConnection):
    _consume_headers = _consume_headers

    def connect(self) -> None:
        super().connect()
        _mine.has(self.sock)


class _PlainPool(AWSHTTPConnectionPool):
    ConnectionCls = _Plain

    def _validate_conn(self, conn: object) -> None:
        _mine.has(getattr(conn, "sock", None))
        super()._validate_conn(cast("Any", conn))


class _SecretPool(AWSHTTPSConnectionPool):
    ConnectionCls = _Secret

    def _validate_conn(self, conn: object) -> None:
        _mine.has(getattr(conn, "sock", None))
        super()._validate_conn(cast("Any", conn))


def bound(client: BaseClient) -> None:
    """Have each exchange of ``client`` end: by ReadTimeoutError where its answer does not."""
    session: _Sends = _session_of(client)
    _pools_of(client).update(http=_PlainPool, https=_SecretPool)

    def send(request: AWSPreparedRequest, **_more: object) -> AWSResponse:
        size = int(request.headers.get("Content-Length") or 0)
        exchange = _mine.exchange = _Exchange(EXCHANGE_S_MAX + size / SENT_BYTES_S_MIN)
        try:
            return session.send(request)
        finally:
            exchange.end()
            _mine.exchange = None
            if exchange.is_late:
                # What came until then may look like a whole answer.
                raise ReadTimeoutError(endpoint_url=request.url)

    client.meta.events.register("before-send", cast("Callable[..., None]", send))
    client.meta.events.register("before-call.s3.HeadBucket", _follow_nothing)


def _follow_nothing(
    params: MutableMapping[str, MutableMapping[str, object]], **_more: object
) -> None:
    """Keep HeadBucket from being redirected.

    botocore asks it where a bucket is whose server sends it elsewhere; where that is answered so, too,
    it asks again, to the end of the stack.
    """
    params["context"]["s3_redirect"] = {"redirected": True}
