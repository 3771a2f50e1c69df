# SPDX-License-Identifier: Apache-2.0
"""Middleware for WSGI services: ``app = AuditMiddleware(app, Recorder("orders.example.com"))``.

For Flask, ``init_app(flask_app, recorder)`` does the same and knows the endpoints. Source: PEP 3333.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from opentrail.sdk.audit import Untyped, event_of
from opentrail.sdk.body import Body
from opentrail.sdk.exchange import Exchange, Given, Options, record
from opentrail.sdk.recorder import Recorder

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
_WERKZEUG_REQUEST = "werkzeug.request"
"""Where Flask leaves its request, which knows the route once there is one."""


class AuditMiddleware:
    """Records each call of the app inside, once its answer has been read."""

    def __init__(self, app: App, recorder: Recorder, **options: Unpack[Given]) -> None:
        """See ``Given``; ``actor`` is given the WSGI environ."""
        self._app = app
        self._options = Options(recorder, options)
        self._endpoints: Callable[[str], object] | None = None

    def know(self, endpoints: Callable[[str], object]) -> None:
        """Have ``endpoints`` return the function of an endpoint's name."""
        self._endpoints = endpoints

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a call on, and record it."""
        options = self._options
        if options.excludes(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        call = _Call(options, environ, start_response, self._endpoints)
        try:
            call.answer = self._app(environ, call.start)
        except BaseException as error:
            call.end(error)
            raise
        return call


def init_app(app: Untyped, recorder: Recorder, **options: Unpack[Given]) -> None:
    """Have all calls of a Flask app recorded; ``options`` as ``AuditMiddleware`` takes them."""
    middleware = AuditMiddleware(app.wsgi_app, recorder, **options)
    middleware.know(app.view_functions.get)
    app.wsgi_app = middleware


def _exchange(options: Options, environ: Environ) -> Exchange:
    bytes_max = options.body_bytes_max
    request = Body(environ.get("CONTENT_TYPE", ""), bytes_max if options.requests else 0)
    stream = environ.get("wsgi.input")
    if stream is not None:
        environ["wsgi.input"] = _Input(stream, request)
    return Exchange(
        environ.get("REQUEST_METHOD", ""),
        environ.get("QUERY_STRING", ""),
        request,
        Body("", bytes_max if options.responses else 0),
        source_ip=environ.get("REMOTE_ADDR", ""),
        user_agent=environ.get("HTTP_USER_AGENT", ""),
        request_id=environ.get("HTTP_X_REQUEST_ID", ""),
    )


class _Input:
    """A request's body, which is read by whoever reads it; what is read is kept."""

    __slots__ = ("_body", "_stream")

    def __init__(self, stream: Untyped, body: Body) -> None:
        self._stream = stream
        self._body = body

    def read(self, *size: int) -> bytes:
        return self._kept(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._kept(self._stream.readline(*size))

    def readinto(self, buffer: bytearray) -> int:
        data = self._kept(self._stream.read(len(buffer)))
        size = len(data)
        buffer[:size] = data
        return size

    def readlines(self, *hint: int) -> list[bytes]:
        return [self._kept(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._kept(line)

    def __getattr__(self, name: str) -> Untyped:
        return getattr(self._stream, name)

    def _kept(self, data: bytes) -> bytes:
        if data:
            self._body.feed(data)
        return data


class _Call:
    """One call under way, and its answer's body; it ends when that is closed (PEP 3333)."""

    __slots__ = ("_ended", "_endpoints", "_environ", "_exchange", "_options", "_start", "answer")

    def __init__(
        self,
        options: Options,
        environ: Environ,
        start_response: StartResponse,
        endpoints: Callable[[str], object] | None,
    ) -> None:
        self._options = options
        self._environ = environ
        self._start = start_response
        self._endpoints = endpoints
        self._exchange = _exchange(options, environ)
        self._ended = False
        self.answer: Iterable[bytes] = ()

    def start(self, status: str, headers: list[tuple[str, str]], *more: Untyped) -> Untyped:
        exchange = self._exchange
        exchange.status = int(status[:3])
        for name, value in headers:
            which = name.lower()
            if which == "content-type":
                exchange.response.kind = value
            elif which == "content-encoding":
                exchange.response.coding = value
        with self._options.guard:
            self._name(exchange)
        return self._start(status, headers, *more)

    def _name(self, exchange: Exchange) -> None:
        """Note which operation it is: once the answer has ended, Flask has forgotten."""
        request = self._environ.get(_WERKZEUG_REQUEST)
        endpoint = getattr(request, "endpoint", None)
        if endpoint:
            event = event_of(self._function(endpoint), exchange.method)
            exchange.event = event
            exchange.name = event.name or endpoint
            exchange.route = getattr(getattr(request, "url_rule", None), "rule", "")
            exchange.path_parameters = getattr(request, "view_args", None)

    def _function(self, endpoint: str) -> object:
        """Return the function of an endpoint's name: of the app's that is known, or that answers."""
        if self._endpoints is not None:
            return self._endpoints(endpoint)
        flask = sys.modules.get("flask")
        if flask is not None and flask.has_app_context():
            return flask.current_app.view_functions.get(endpoint)
        return None

    def __iter__(self) -> Iterator[bytes]:
        response = self._exchange.response
        try:
            for piece in self.answer:
                response.feed(piece)
                yield piece
        except GeneratorExit:
            raise  # the server wants no more; ``close`` follows
        except BaseException as error:
            self.end(error)
            raise

    def close(self) -> None:
        answer, self.answer = self.answer, ()  # it may hold on to ``start``, and so to us
        try:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        finally:
            self.end(None)

    def end(self, error: BaseException | None) -> None:
        """Have the record sent, once."""
        if self._ended:
            return
        self._ended = True
        if error is not None:
            self._exchange.failure = type(error).__name__
        with self._options.guard:
            record(self._options, self._exchange, self._environ)
