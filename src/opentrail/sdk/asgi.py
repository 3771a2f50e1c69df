# SPDX-License-Identifier: Apache-2.0
"""Middleware for ASGI services: FastAPI, Starlette, Litestar, or none of them.

``app.add_middleware(AuditMiddleware, recorder=Recorder("orders.example.com"))``. Source: ASGI 3.0
specification.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Unpack

from opentrail.sdk.audit import event_of
from opentrail.sdk.body import Body
from opentrail.sdk.exchange import Exchange, Given, Options, record
from opentrail.sdk.recorder import Recorder

SERVER_ERROR_STATUS = 500

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class AuditMiddleware:
    """Records each call of the app inside when its answer is complete."""

    def __init__(self, app: App, recorder: Recorder, **options: Unpack[Given]) -> None:
        """See ``Given``; ``actor`` is given the ASGI scope."""
        self._app = app
        self._options = Options(recorder, options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on, and record it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._handing_over(send))
            return
        if scope["type"] != "http" or self._options.excludes(scope["path"]):
            await self._app(scope, receive, send)
            return
        call = _Call(self._options, scope, receive, send)
        try:
            await self._app(scope, call.receive, call.send)
        except BaseException as error:
            call.end(error)
            raise
        finally:
            call.end()

    def _handing_over(self, send: Send) -> Send:
        """Return ``send``, before which the last records are sent when the service has ended.

        Servers may end by the signal that they were told to end by: no ``atexit`` runs then.
        """

        async def told(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                with self._options.guard:
                    self._options.recorder.hand_over()
            await send(message)

        return told


class _Call:
    """One call under way."""

    __slots__ = ("_ended", "_exchange", "_headers", "_options", "_receive", "_scope", "_send")

    def __init__(self, options: Options, scope: Scope, receive: Receive, send: Send) -> None:
        self._options = options
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._ended = False
        headers: dict[bytes, bytes] = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").decode("latin-1")
        bytes_max = options.body_bytes_max
        client = scope.get("client")
        self._exchange = Exchange(
            scope["method"],
            scope["query_string"].decode("latin-1"),
            Body(kind, bytes_max if options.requests else 0),
            Body("", bytes_max if options.responses else 0),
            source_ip=client[0] if client else "",
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            request_id=headers.get(b"x-request-id", b"").decode("latin-1"),
        )

    async def receive(self) -> Message:
        message = await self._receive()
        body = message.get("body")
        if body and not self._ended:
            self._exchange.request.feed(body)
        return message

    async def send(self, message: Message) -> None:
        last = self._noted(message)
        await self._send(message)
        if last and self._exchange.status < SERVER_ERROR_STATUS:
            # What the app does now, background tasks for example, the caller does not wait for.
            # After a server's error comes the exception that was its reason.
            self.end()

    def _noted(self, message: Message) -> bool:
        """Note what is sent; return whether it is the last of the answer."""
        exchange = self._exchange
        if self._ended:
            return False  # the record is made of what was
        last = False
        if message["type"] == "http.response.body":
            last = not message.get("more_body")
            body = message.get("body")
            if body:
                exchange.response.feed(body)
        elif message["type"] == "http.response.start":
            exchange.status = message["status"]
            self._headers = message.get("headers", ())
        return last

    def end(self, error: BaseException | None = None) -> None:
        """Have the record sent, once: of what there is to say now."""
        if not self._ended:
            self._ended = True
            if error is not None:
                self._exchange.failure = type(error).__name__
            with self._options.guard:
                self._record()

    def _record(self) -> None:
        """Give the record what is known now: the router has put the operation into the scope."""
        scope, exchange = self._scope, self._exchange
        for name, value in self._headers:
            which = name.lower()
            if which == b"content-type":
                exchange.response.kind = value.decode("latin-1")
            elif which == b"content-encoding":
                exchange.response.coding = value.decode("latin-1")
        route = scope.get("route") or scope.get("route_handler")  # the latter is Litestar's
        endpoint = scope.get("endpoint") or getattr(route, "endpoint", getattr(route, "fn", None))
        if hasattr(endpoint, "routes"):
            endpoint = None  # an app that is mounted, none of whose routes took the call
        event = event_of(endpoint, exchange.method)
        exchange.event = event
        operation_id = getattr(route, "operation_id", None)
        known = operation_id if isinstance(operation_id, str) else ""
        exchange.name = event.name or known or _name(endpoint)
        exchange.route = getattr(route, "path", "") or scope.get("path_template", "")
        exchange.path_parameters = scope.get("path_params")
        record(self._options, exchange, scope)


def _name(endpoint: object) -> str:
    """Return the name of a function, or of a class of methods."""
    if endpoint is None:
        return ""
    name = getattr(endpoint, "__name__", None)
    return str(name or type(endpoint).__name__)
