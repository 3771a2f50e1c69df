# SPDX-License-Identifier: Apache-2.0
"""The stand-in as an ASGI application: one AWS call in, one answer out, all of it in memory.

It checks no signature: who calls is taken from the access key id, as claimed.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from opentrail.access.keys import account_of
from opentrail.aws.model import Operation, operation
from opentrail.aws.protocol import render_error, request_members
from opentrail.aws.request import Credential, RequestHead, Target
from opentrail.aws.route import identify, parse_credential
from opentrail.clock import Clock, Ids, uuid4_text
from opentrail.errors import ClientError
from opentrail.sandbox import tuning
from opentrail.sandbox.catalog import handlers
from opentrail.sandbox.render import Answer, render
from opentrail.sandbox.request import Handler, Pace, Request
from opentrail.sandbox.shapes import Members, check_input
from opentrail.sandbox.state import Scope, State

ACCOUNT_DEFAULT = "123456789012"
REGION_DEFAULT = "us-east-1"
BODY_BYTES_MAX = 25 * 1024 * 1024
"""Bytes of a request: InvokeEndpoint's bound, the largest of the operations that are offered."""
LABEL = (b"x-opentrail-sandbox", b"stand-in")
"""On every answer, so that nobody takes it for the real thing."""
WHAT_IT_IS = (
    b"OpenTrail's sandbox: an in-memory stand-in for SageMaker, Feature Store, Personalize and\n"
    b"DevOps Guru, for demonstrations and tests. It forgets everything when it stops.\n"
)
NOT_OFFERED_STATUS = 501

_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_REGION = re.compile(r"[a-z0-9-]{1,32}\Z")

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Sandbox:
    """The stand-in: ``answer`` without a network, or an ASGI application."""

    def __init__(self, clock: Clock, ids: Ids, pace: Pace | None = None) -> None:
        self.state = State()
        """What exists; tests look into it."""
        self._clock = clock
        self._ids = ids
        self._pace = pace or Pace()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the sandbox speaks HTTP only, not {scope['type']}")
        body = await _read(receive)
        if body is None:
            return
        answer = self.answer(_head(scope), body)
        headers = [*answer.headers, LABEL]
        if not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})

    def answer(self, head: RequestHead, body: bytes) -> Answer:
        """Return the answer to one call."""
        credential = parse_credential(head)
        if credential is None and head.path == "/" and head.method == "GET":
            return Answer(200, [(b"content-type", b"text/plain")], WHAT_IT_IS)
        target = identify(head, credential, body)
        request_id = uuid4_text(self._ids)
        try:
            model, handler = _offered(target)
            members = _members(model, head, body)
            request = self._request(model, members, body, self._scope(credential))
            check_input(model, members, request.validation_code)
            return render(model, target.json_version, handler(request), request_id)
        except ClientError as error:
            return _refusal(target, error, request_id)

    def _request(self, model: Operation, members: Members, body: bytes, scope: Scope) -> Request:
        now_ms = self._clock.now_ms()
        tuning.advance(scope, now_ms, self._pace, self._ids)
        return Request(model.service, model, members, body, scope, now_ms, self._ids, self._pace)

    def _scope(self, credential: Credential | None) -> Scope:
        """Return what exists for the caller's account and region, both as claimed."""
        if credential is None:
            return self.state.scope(ACCOUNT_DEFAULT, REGION_DEFAULT)
        key = credential.access_key_id
        account = key if _ACCOUNT.match(key) else account_of(key) or ACCOUNT_DEFAULT
        region = credential.region if _REGION.match(credential.region) else REGION_DEFAULT
        return self.state.scope(account, region)


def _offered(target: Target) -> tuple[Operation, Handler]:
    """Return the model and the handler of what is asked. Raises: ClientError: not offered."""
    handler = handlers().get((target.service, target.operation))
    model = operation(target)
    # A table's operation in a protocol that the table does not answer in (CBOR) is not offered.
    if handler is None or model is None or model.protocol not in ("json", "rest-json"):
        asked = f"{target.service or 'unknown service'} {target.operation or 'unknown operation'}"
        text = f"OpenTrail's sandbox is a stand-in and does not offer this: {asked}."
        raise ClientError("NotImplemented", text, NOT_OFFERED_STATUS)
    return model, handler


def _members(model: Operation, head: RequestHead, body: bytes) -> Members:
    """Return the call's members as plain JSON values. Raises: ClientError: cannot be parsed."""
    if len(body) > BODY_BYTES_MAX:
        text = f"The request is longer than {BODY_BYTES_MAX} bytes."
        raise ClientError("RequestEntityTooLarge", text, 413)
    parsed = request_members(model, head, body)
    if parsed is None:
        raise ClientError("SerializationException", "The body is not the JSON that is expected.")
    members: Members = msgspec.json.decode(msgspec.json.encode(parsed), type=Members)
    if model.input and model.input.payload:
        members.setdefault(model.input.payload, body)
    return members


def _refusal(target: Target, error: ClientError, request_id: str) -> Answer:
    return Answer(*render_error(target, error, request_id))


def _head(scope: AsgiScope) -> RequestHead:
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]}
    path = scope["raw_path"].decode("latin-1").partition("?")[0]
    return RequestHead(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


async def _read(receive: Receive) -> bytes | None:
    """Return the body, cut where it is too long; None when the client is gone."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= BODY_BYTES_MAX:
            body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)
