# SPDX-License-Identifier: Apache-2.0
"""The door for searches over HTTP: who asks, whose events they may see, a page or a download.

Who reads evidence leaves a trace, as LookupEvents does: each search that a known key made has an event.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from opentrail.access import refusals
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.access.policy import authorize, authorize_everywhere
from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.reply import Client
from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.eventlog.base import Draft
from opentrail.front.own_event import OwnCall, OwnEvents
from opentrail.front.signer import signer
from opentrail.wire.app import ApiResponse
from opentrail.wire.search_door import NEXT_TOKEN, RECORDS, RESULTS_MAX, Asked
from opentrail.wire.search_forms import BY_MEDIA_TYPE, FORMS, PAGE, Form

SEARCH = "opentrail:Search"
"""The action of searching the events of one's own account."""
SEARCH_OTHERS = "opentrail:SearchOtherAccounts"
"""Needed besides, for the events of all accounts."""
EVERY_ACCOUNT = "arn:aws:opentrail::every account:events"
"""Stands for all of them: only a wildcard of any length matches it."""
BODY_BYTES_MAX = 64 * 1024
"""Of a request: six times the longest query."""
EVENT_NAME, ENDED_NAME = "SearchEvents", "SearchEventsEnded"
"""Of a search, and of a download that has ended, whose number of records was not known before."""
HTTP_OK = 200
METHOD_NOT_ALLOWED = 405

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_UNTOLD = frozenset({"nextToken"})
"""Members that say nothing of what was asked for."""
Append = Callable[[Sequence[Draft]], Awaitable[list[int]]]


@dataclass(slots=True)
class _Search:
    """One request, as its event will tell of it."""

    arrival: Arrival
    request_id: str
    key: AccessKey | None = None
    asked: dict[str, object] | None = None
    sent: int = 0
    """Records that were sent, or went into a file on its way."""
    accounts: tuple[str, ...] = field(default=())
    gone: bool = False
    """Whether the client is."""

    def leave(self) -> None:
        """Note that the client is gone: between two pieces of a file there may be many pages."""
        self.gone = True


class SearchHttp:
    """Answers ``POST /_opentrail/search``. Owned by the event loop."""

    def __init__(
        self,
        keys: KeyTable,
        search: Callable[[Asked], Awaitable[ApiResponse]],
        told: tuple[OwnEvents, Append],
        clock: Clock,
        *,
        verify: bool,
    ) -> None:
        """``told`` makes events and appends them, durably; ``verify``: only known keys may ask."""
        self._keys = keys
        self._search = search
        self._events, self._append = told
        self._clock = clock
        self._verify = verify

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one request, as ``front.server.App`` does."""
        search = _Search(arrival, self._events.new_id())
        try:
            await self._handle(search, body, client)
        except ClientGone:
            return
        except ClientError as error:
            await self._refuse(search, client, error)
        except Unavailable as error:
            wrong = ClientError("ServiceUnavailable", f"OpenTrail: {error.message}.", 503)
            _send_error(client, wrong)

    async def _handle(self, search: _Search, body: RequestBody, client: Client) -> None:
        """Answer one request. Raises: ClientError. Unavailable. ClientGone."""
        head = search.arrival.head
        if head.method != "POST":
            raise ClientError("MethodNotAllowed", "The search takes POST.", METHOD_NOT_ALLOWED)
        data = await body.whole(BODY_BYTES_MAX)
        if data is None:
            message = f"The request is longer than {BODY_BYTES_MAX} bytes."
            raise ClientError("RequestEntityTooLargeException", message, 413)
        if self._verify:
            now_ms = self._clock.now_ms()
            search.key = signer(head, search.arrival.repeated, data, self._keys, now_ms)
        _refuse_parameters(head.query)
        request = _request(data)
        search.asked = _told(request)
        if search.key is not None:
            search.accounts = _visible(search.key)
        form = _form(request, head.headers)
        if form is not PAGE:
            await self._download(search, request, form, client)
            return
        answer = await self._search(Asked(msgspec.json.encode(request), search.accounts))
        _check(answer)
        await self._tell(search, EVENT_NAME, {"records": _number(answer, RECORDS)})
        _answer(client, answer)

    async def _download(
        self, search: _Search, request: dict[str, msgspec.Raw], form: Form, client: Client
    ) -> None:
        """Send every match, newest first, a page after another.

            1. find the first page
            2. append the event of the search    (durable before the first byte goes out)
            3. send pages
            4. append how many records were sent, however it ended
        An error after 2 breaks the connection off: what came is not all.
        Raises: ClientError. Unavailable: nothing was sent yet.
        """
        if request.pop("nextToken", NULL) != NULL:
            message = "A download is every match: it takes no nextToken."
            raise ClientError("InvalidNextTokenException", message)
        asked = Asked(b"", search.accounts, form.name, search.request_id)
        request["maxResults"] = msgspec.Raw(b"%d" % RESULTS_MAX)
        whole = False
        try:
            first = await self._search(
                msgspec.structs.replace(asked, body=msgspec.json.encode(request))
            )
            _check(first)
            await self._tell(search, EVENT_NAME, None)
            client.begin(HTTP_OK, form.headers())
            client.on_gone(search.leave)
            whole = await self._send_all(search, (asked, request, form), first, client)
        finally:
            if not whole:
                await self._drop(asked)
        told = await self._ended(search, whole=whole)
        if whole and told:
            client.end()
        elif not search.gone:
            client.break_off()

    async def _drop(self, asked: Asked) -> None:
        """Have back forget a file that nobody waits for: another may be made in its place."""
        with suppress(Unavailable):  # then back is gone, and all its files; or it drops idle ones
            await self._search(msgspec.structs.replace(asked, dropped=True))

    async def _ended(self, search: _Search, *, whole: bool) -> bool:
        """Append how many records were sent; False: the log refuses."""
        try:
            await self._tell(search, ENDED_NAME, {"records": search.sent, "complete": whole})
        except Unavailable:
            return False
        return True

    async def _send_all(
        self,
        search: _Search,
        what: tuple[Asked, dict[str, msgspec.Raw], Form],
        page: ApiResponse,
        client: Client,
    ) -> bool:
        """Send all pages; False when one cannot be had, or the client is gone."""
        asked, request, form = what
        piece = form.before
        while not search.gone:
            if page.body:
                piece += (form.between if search.sent else b"") + page.body
            token = dict(page.headers).get(NEXT_TOKEN)
            piece += form.after if token is None else b""
            # Counted first: who breaks off behind them may have read them.
            search.sent += _number(page, RECORDS)
            if piece and not await _sent(client, piece):
                search.leave()
                return False
            if token is None:
                return True
            piece = b""
            request["nextToken"] = msgspec.Raw(msgspec.json.encode(token.decode()))
            body = msgspec.json.encode(request)
            try:
                page = await self._search(msgspec.structs.replace(asked, body=body))
            except Unavailable:
                return False
            if page.status != HTTP_OK:
                return False
        return False

    async def _refuse(self, search: _Search, client: Client, error: ClientError) -> None:
        """Answer with ``error``; what a known key asked for in vain has an event, too."""
        if search.key is not None:
            try:
                await self._tell(search, EVENT_NAME, None, (error.code, error.message))
            except Unavailable as refused:
                message = f"OpenTrail: {refused.message}."
                error = ClientError("ServiceUnavailable", message, 503)
        _send_error(client, error)

    async def _tell(
        self,
        search: _Search,
        name: str,
        response: Mapping[str, object] | None,
        error: tuple[str, str] = ("", ""),
    ) -> None:
        """Append an event. Raises: Unavailable."""
        call = OwnCall(
            name=name,
            arrival=search.arrival,
            request_id=search.request_id,
            request=search.asked,
            response=response,
            verified=search.key is not None,
            reads=True,
            error=error,
        )
        await self._append([self._events.draft(call)])


def _refuse_parameters(query: str) -> None:
    """Refuse parameters behind the path, but a signature's: passed over, they would be no choice.

    Raises: ClientError.
    """
    names = (each.partition("=")[0] for each in query.split("&") if each)
    strange = next((name for name in names if not name.lower().startswith("x-amz-")), None)
    if strange is not None:
        message = f"{strange} is a member of the JSON body, not a parameter of the address."
        raise ClientError("InvalidQueryParameter", message)


def _request(data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _object(data or b"{}")
    except _UNREADABLE as wrong:
        raise ClientError("SerializationException", str(wrong)) from None


def _told(request: Mapping[str, msgspec.Raw]) -> dict[str, object]:
    """Return what an event says was asked for."""
    return {name: value.copy() for name, value in request.items() if name not in _UNTOLD}


def _form(request: dict[str, msgspec.Raw], headers: Mapping[str, str]) -> Form:
    """Return the form that is asked for, and take it out of the request. Raises: ClientError."""
    named = request.pop("format", None)
    if named is None:
        accepted = headers.get("accept", "")
        return next((form for kind, form in BY_MEDIA_TYPE.items() if kind in accepted), PAGE)
    form = FORMS.get(bytes(named).strip(b'"').decode("utf-8", "replace"))
    if form is None:
        names = ", ".join(FORMS)
        raise ClientError("InvalidFormatException", f"format is one of {names}.")
    return form


def _visible(key: AccessKey) -> tuple[str, ...]:
    """Return whose events ``key`` may see; () is everybody's. Raises: ClientError."""
    resource = f"arn:aws:opentrail::{key.account}:events"
    if not authorize(key.policies, SEARCH, resource):
        raise refusals.in_protocol(refusals.access_denied(key.arn, SEARCH), "rest-json")
    everybody = authorize_everywhere(key.policies, SEARCH_OTHERS, EVERY_ACCOUNT)
    return () if everybody else (key.account,)


async def _sent(client: Client, piece: bytes) -> bool:
    """Send a piece, which is not empty: such a one would end a chunked body. False: client gone."""
    try:
        await client.send(piece)
    except ClientGone:
        return False
    return True


def _number(answer: ApiResponse, name: bytes) -> int:
    return int(dict(answer.headers).get(name, b"0"))


def _check(answer: ApiResponse) -> None:
    """Raise the error that back answered with, if it did. Raises: ClientError."""
    if answer.status == HTTP_OK:
        return
    fault = msgspec.json.decode(answer.body, type=dict[str, str])
    raise ClientError(fault["__type"], fault["message"], answer.status)


def _answer(client: Client, answer: ApiResponse) -> None:
    length = (b"content-length", b"%d" % len(answer.body))
    headers = [each for each in answer.headers if each[0] not in (RECORDS, NEXT_TOKEN)]
    client.answer(answer.status, [*headers, length], answer.body)


def _send_error(client: Client, error: ClientError) -> None:
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-errortype", error.code.encode()),
    ]
    if error.status == METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    client.answer(error.status, headers, body)
