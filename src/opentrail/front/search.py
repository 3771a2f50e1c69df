# SPDX-License-Identifier: Apache-2.0
"""The door for searches over HTTP: who asks, whose events they may see, a page or a stream."""

from collections.abc import Awaitable, Callable

import msgspec

from opentrail.access import refusals
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.access.policy import authorize, authorize_everywhere
from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.reply import Client
from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.front.signer import signer
from opentrail.wire.app import ApiResponse
from opentrail.wire.search_door import RESULTS_MAX, Asked, SearchResponse

SEARCH = "opentrail:Search"
"""The action of searching the events of one's own account."""
SEARCH_OTHERS = "opentrail:SearchOtherAccounts"
"""Needed besides, for the events of all accounts."""
EVERY_ACCOUNT = "arn:aws:opentrail::every account:events"
"""Stands for all of them: only a wildcard of any length matches it."""
BODY_BYTES_MAX = 64 * 1024
"""Of a request: six times the longest query."""
NDJSON = "application/x-ndjson"

_response = msgspec.json.Decoder(SearchResponse).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class SearchHttp:
    """Answers ``POST /_opentrail/search``. Owned by the event loop."""

    def __init__(
        self,
        keys: KeyTable,
        search: Callable[[Asked], Awaitable[ApiResponse]],
        clock: Clock,
        *,
        verify: bool,
    ) -> None:
        """``verify``: only known keys may ask, as their policies say."""
        self._keys = keys
        self._search = search
        self._clock = clock
        self._verify = verify

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one request, as ``front.server.App`` does."""
        try:
            await self._handle(arrival, body, client)
        except ClientGone:
            return
        except ClientError as error:
            _refuse(client, error)
        except Unavailable as error:
            _refuse(client, ClientError("ServiceUnavailable", f"OpenTrail: {error.message}.", 503))

    async def _handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one request. Raises: ClientError. Unavailable. ClientGone."""
        head = arrival.head
        if head.method != "POST":
            raise ClientError("MethodNotAllowed", "The search takes POST.", 405)
        data = await body.whole(BODY_BYTES_MAX)
        if data is None:
            message = f"The request is longer than {BODY_BYTES_MAX} bytes."
            raise ClientError("RequestEntityTooLargeException", message, 413)
        accounts: tuple[str, ...] = ()
        if self._verify:
            now_ms = self._clock.now_ms()
            accounts = _visible(signer(head, arrival.repeated, data, self._keys, now_ms))
        if NDJSON in head.headers.get("accept", ""):
            await self._stream(data, accounts, client)
            return
        answer = await self._search(Asked(data, accounts))
        length = (b"content-length", b"%d" % len(answer.body))
        client.answer(answer.status, [*answer.headers, length], answer.body)

    async def _stream(self, data: bytes, accounts: tuple[str, ...], client: Client) -> None:
        """Send every match, one record a line, newest first, a page after another.

        An error after the first page breaks the connection off: what came is not all.
        Raises: ClientError. Unavailable: nothing was sent yet. ClientGone.
        """
        request = _request(data)
        request["maxResults"] = msgspec.Raw(b"%d" % RESULTS_MAX)
        begun = False
        while True:
            answer = await self._page(request, accounts, begun=begun)
            if answer is None:
                client.break_off()
                return
            if answer.status != HTTP_OK:
                length = (b"content-length", b"%d" % len(answer.body))
                client.answer(answer.status, [*answer.headers, length], answer.body)
                return
            page = _response(answer.body)
            if not begun:
                client.begin(HTTP_OK, [(b"content-type", NDJSON.encode())])
                begun = True
            if page.records:
                await client.send(b"".join(bytes(each) + b"\n" for each in page.records))
            if page.next_token is None:
                client.end()
                return
            request["nextToken"] = msgspec.Raw(msgspec.json.encode(page.next_token))

    async def _page(
        self, request: dict[str, msgspec.Raw], accounts: tuple[str, ...], *, begun: bool
    ) -> ApiResponse | None:
        """Return a page; None: it cannot be had, and the answer has begun. Raises: Unavailable."""
        try:
            answer = await self._search(Asked(msgspec.json.encode(request), accounts))
        except Unavailable:
            if begun:
                return None
            raise
        return None if begun and answer.status != HTTP_OK else answer


HTTP_OK = 200


def _request(data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _object(data or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise ClientError("SerializationException", str(wrong)) from None


def _visible(key: AccessKey) -> tuple[str, ...]:
    """Return whose events ``key`` may see; () is everybody's. Raises: ClientError."""
    resource = f"arn:aws:opentrail::{key.account}:events"
    if not authorize(key.policies, SEARCH, resource):
        raise refusals.in_protocol(refusals.access_denied(key.arn, SEARCH), "rest-json")
    everybody = authorize_everywhere(key.policies, SEARCH_OTHERS, EVERY_ACCOUNT)
    return () if everybody else (key.account,)


def _refuse(client: Client, error: ClientError) -> None:
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-errortype", error.code.encode()),
    ]
    if error.status == METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    client.answer(error.status, headers, body)


METHOD_NOT_ALLOWED = 405
