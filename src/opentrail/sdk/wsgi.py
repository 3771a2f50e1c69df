# SPDX-License-Identifier: Apache-2.0
"""Middleware for WSGI services: ``app = AuditMiddleware(app, Recorder("orders.example.com"))``.

For Flask, ``init_app(flask_app, recorder)`` does the same and knows the endpoints. Source: PEP 3333.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from opentrail.sdk.audit import AuditEvent, Untyped, event_of
from opentrail.sdk.exchange import Body, Exchange, Given, Options, record
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
        exchange = _exchange(options, environ)

        def start(status: str, headers: list[tuple[str, str]], *more: Untyped) -> Untyped:
            exchange.status = int(status[:3])
            for name, value in headers:
                if name.lower() == "content-type":
                    exchange.response.kind = value
            with options.guard:
                self._name(exchange, environ)
            return start_response(status, headers, *more)

        try:
            answer = self._app(environ, start)
        except BaseException as error:
            self._end(exchange, environ, error)
            raise
        return _Answer(answer, exchange, lambda error: self._end(exchange, environ, error))

    def _end(self, exchange: Exchange, environ: Environ, error: BaseException | None) -> None:
        if error is not None:
            exchange.failure = type(error).__name__
        with self._options.guard:
            record(self._options, exchange, environ)

    def _name(self, exchange: Exchange, environ: Environ) -> None:
        """Note which operation it is: once the answer has ended, Flask has forgotten."""
        request = environ.get(_WERKZEUG_REQUEST)
        endpoint = getattr(request, "endpoint", None)
        if endpoint:
            exchange.event = self._event(endpoint)
            exchange.name = exchange.event.name or endpoint
            exchange.route = str(getattr(request, "url_rule", "") or "")
            exchange.path_parameters = getattr(request, "view_args", None)

    def _event(self, endpoint: str) -> AuditEvent:
        return event_of(self._endpoints(endpoint) if self._endpoints is not None else None)


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

    def __init__(self, stream: Untyped, body: Body) -> None:
        self._stream = stream
        self._body = body

    def read(self, *size: int) -> bytes:
        return self._kept(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._kept(self._stream.readline(*size))

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

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


class _Answer:
    """An answer's body; the call ends when it is closed (PEP 3333)."""

    def __init__(
        self,
        answer: Iterable[bytes],
        exchange: Exchange,
        end: Callable[[BaseException | None], None],
    ) -> None:
        self._answer = answer
        self._exchange = exchange
        self._end: Callable[[BaseException | None], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._answer:
                self._exchange.response.feed(piece)
                yield piece
        except GeneratorExit:
            raise  # the server wants no more; ``close`` follows
        except BaseException as error:
            self._done(error)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._answer, "close", None)
            if close is not None:
                close()
        finally:
            self._done(None)

    def _done(self, error: BaseException | None) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(error)
