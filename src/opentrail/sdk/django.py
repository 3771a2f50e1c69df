# SPDX-License-Identifier: Apache-2.0
"""Middleware for Django: ``"opentrail.sdk.django.AuditMiddleware"`` in MIDDLEWARE.

``OPENTRAIL`` in the settings says how: a dict with what ``Recorder`` and ``Options`` take.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings

from opentrail.sdk.audit import Untyped, event_of
from opentrail.sdk.body import Body
from opentrail.sdk.exchange import Exchange, Given, Options, record
from opentrail.sdk.recorder import Recorder

_OPTIONS = frozenset(Given.__annotations__)


class AuditMiddleware:
    """Records each call, once Django has made its answer. Works with WSGI and ASGI."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Untyped], Untyped]) -> None:
        """Django calls this once; it reads the settings."""
        given = dict(getattr(settings, "OPENTRAIL", {}))
        options = cast(Given, {name: given.pop(name) for name in _OPTIONS & given.keys()})
        recorder = given.pop("recorder", None) or Recorder(**given)
        self._options = Options(recorder, options)
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Untyped) -> Untyped:
        """Pass a call on, and record it."""
        if self._options.excludes(request.path):
            return self._get_response(request)
        if iscoroutinefunction(self):
            return self._answered(request)
        try:
            response = self._get_response(request)
        except BaseException as error:
            self._end(request, None, error)
            raise
        self._end(request, response)
        return response

    async def _answered(self, request: Untyped) -> Untyped:
        answer: Awaitable[Untyped] = self._get_response(request)
        try:
            response = await answer
        except BaseException as error:
            self._end(request, None, error)
            raise
        self._end(request, response)
        return response

    def _end(self, request: Untyped, response: Untyped, error: BaseException | None = None) -> None:
        """Have the record sent; an ``error`` is none of the view's: Django answers those itself.

        Its client has left, or the process is told to end.
        """
        with self._options.guard:
            exchange = self._exchange(request, response)
            if error is not None:
                exchange.failure = type(error).__name__
            record(self._options, exchange, request)

    def _exchange(self, request: Untyped, response: Untyped) -> Exchange:
        options = self._options
        headers = request.headers
        exchange = Exchange(
            request.method,
            request.META.get("QUERY_STRING", ""),
            _body_of(request, options.body_bytes_max if options.requests else 0),
            Body("", options.body_bytes_max),
            source_ip=request.META.get("REMOTE_ADDR", ""),
            user_agent=headers.get("User-Agent", ""),
            request_id=headers.get("X-Request-Id", ""),
        )
        if response is not None:
            exchange.status = response.status_code
            exchange.response.kind = response.get("Content-Type", "")
            exchange.response.coding = response.get("Content-Encoding", "")
            if options.responses and not response.streaming:
                exchange.response.feed(response.content)
        match = request.resolver_match
        if match is not None:
            event = event_of(match.func, request.method)
            exchange.event = event
            exchange.name = event.name or match.view_name or match.func.__name__
            exchange.route = match.route
            exchange.path_parameters = match.kwargs
        return exchange


def _body_of(request: Untyped, bytes_max: int) -> Body:
    """Return the request's body, if the view has read it whole: Django keeps it then.

    Of one that was read in pieces (a form with files) only its size is known. One that nobody has
    read may not even have come: waiting for it would hold up the call.
    """
    body = Body(request.META.get("CONTENT_TYPE", ""), bytes_max)
    if bytes_max and hasattr(request, "_body"):
        body.feed(request.body)
    elif bytes_max and getattr(request, "_read_started", False):
        length = str(request.META.get("CONTENT_LENGTH") or "")
        body.size = int(length) if length.isdecimal() else 0
    return body
