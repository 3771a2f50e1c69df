# SPDX-License-Identifier: Apache-2.0
"""The door for records of log files that were made elsewhere: ``opentrail import --server``.

They are marked as imported in the log: no trail ever delivers them. What the log has already, whoever
made it, is not taken in again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from opentrail.access import refusals
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.access.policy import authorize
from opentrail.aws.request import RequestHead
from opentrail.aws.route import parse_credential
from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.intake_body import unpacked
from opentrail.capture.reply import Client
from opentrail.clock import Clock
from opentrail.errors import ClientError, Unavailable
from opentrail.event.caps import RECORD_BYTES_MAX
from opentrail.event.parts import whole
from opentrail.eventlog.base import Draft, Origin
from opentrail.front.intake import PUT_OTHERS, resource_of
from opentrail.front.own_event import OwnCall, OwnEvents
from opentrail.front.signer import signer
from opentrail.imports.answer import ImportAnswer, Refused
from opentrail.wire.app import ApiResponse
from opentrail.wire.known_door import Known

IMPORT = "opentrail:ImportRecords"
"""The action of importing records of one's own account; of others with PUT_OTHERS besides."""
EVENT_NAME = "ImportEvents"
BODY_BYTES_MAX = 4 * 1024 * 1024
"""Of a request, unpacked: sixteen of the largest records."""
RECORDS_MAX = 2_000
"""Of a request: more would keep all calls that pass waiting for tens of milliseconds."""
BRACKETS_MAX = 100_000
"""Of a request in which a record is bad: four times what real records have; a tenth of a second."""
WAITING_MAX = 8
"""Requests whose bodies are on their way, at once: 32 MiB that wait in memory."""
NO_EVENT = "not a CloudTrail event: no readable eventTime"
NOT_ALLOWED = "the key may not import records of that account"
NOT_ONE_LINE = "not one line of at most 256 KB"

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_known = msgspec.msgpack.Decoder(Known).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class ImportRooms:
    """What an import goes through."""

    known: Callable[[Sequence[bytes], int], Awaitable[ApiResponse]]
    """Asks what is known of records, once all below a position is indexed. Raises: Unavailable."""
    append: Callable[[Sequence[Draft]], Awaitable[list[int]]]
    """Durable when it returns. Raises: Unavailable."""
    durable_end: Callable[[], int]
    refusing: Callable[[], str]
    """Why the log takes nothing now; "" when it does."""
    log_id: Callable[[], str]


class ImportDoor:
    """Answers ``POST /_opentrail/import``. Owned by the event loop."""

    def __init__(
        self, keys: KeyTable, rooms: ImportRooms, events: OwnEvents, clock: Clock, *, verify: bool
    ) -> None:
        """``verify``: only known keys may import, as their policies say."""
        self._keys = keys
        self._rooms = rooms
        self._events = events
        self._clock = clock
        self._verify = verify
        self._waiting = 0
        self._one = asyncio.Lock()
        """One request at a time: what one appended the next one finds."""

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one request, as ``front.server.App`` does."""
        try:
            answer = msgspec.json.encode(await self._answer(arrival, body))
        except ClientGone:
            return
        except ClientError as error:
            _send(client, error.status, _fault(error), error.code)
        except Unavailable as error:
            wrong = ClientError("ServiceUnavailable", f"OpenTrail: {error.message}.", 503)
            _send(client, 503, _fault(wrong), wrong.code)
        else:
            _send(client, 200, answer)

    async def _answer(self, arrival: Arrival, body: RequestBody) -> ImportAnswer:
        """Take in what the request brings.

        1. who sends it, and is the body the one that was signed
        2. find what the log has, and whose the records are
        3. append what is new and allowed, and the event that says so   (durable when it returns)
        4. answer
        A crash before 3 ends: all of it or nothing is in the log; sent again, what is there is found.
        Raises: ClientError. Unavailable. ClientGone.
        """
        head = arrival.head
        if head.method != "POST":
            raise ClientError("MethodNotAllowed", "The import takes POST.", 405)
        data = await self._whole(head, body)
        now_ms = self._clock.now_ms()
        key = signer(head, arrival.repeated, data, self._keys, now_ms) if self._verify else None
        _check_allowed(key)
        if why := self._rooms.refusing():
            raise Unavailable(f"no records are taken now: {why}")
        records = _records_in(unpacked(data, head.headers.get("content-encoding", "")))
        if not records:
            return ImportAnswer(self._rooms.log_id(), 0, [], [])
        async with self._one:
            return await self._take(arrival, records, key)

    async def _whole(self, head: RequestHead, body: RequestBody) -> bytes:
        """Return the body, for which a few may be waiting who seem to be known.

        Raises: ClientError. ClientGone.
        """
        if self._verify:
            credential = parse_credential(head)
            if credential is None or self._keys.find(credential.access_key_id) is None:
                raise refusals.in_protocol(refusals.unknown_key(), "rest-json")
        if self._waiting >= WAITING_MAX:
            raise ClientError("ServiceUnavailable", "Too many imports at once; try again.", 503)
        self._waiting += 1
        try:
            data = await body.whole(BODY_BYTES_MAX)
        finally:
            self._waiting -= 1
        if data is None:
            raise _too_long()
        return data

    async def _take(
        self, arrival: Arrival, records: list[bytes], key: AccessKey | None
    ) -> ImportAnswer:
        log_id = self._rooms.log_id()
        found = await self._rooms.known(records, self._rooms.durable_end())
        if self._rooms.refusing() or log_id != self._rooms.log_id():
            raise Unavailable("the log is being begun anew; try again")
        if found.status != HTTP_OK:
            raise ClientError("InternalFailure", found.body.decode("utf-8", "replace"), 500)
        known = _known(found.body)
        refused = _refused(records, known, key)
        gone = {each.index for each in refused}
        duplicates = [number for number in known.duplicates if number not in gone]
        gone.update(duplicates)
        drafts = [
            Draft(Origin.IMPORT, data) for number, data in enumerate(records) if number not in gone
        ]
        answer = ImportAnswer(log_id, len(drafts), duplicates, refused)
        if drafts:
            counts = {
                "imported": len(drafts),
                "duplicates": len(duplicates),
                "refused": len(refused),
            }
            said = self._events.draft(
                OwnCall(
                    name=EVENT_NAME,
                    arrival=arrival,
                    request_id=self._events.new_id(),
                    request={"records": len(records)},
                    response=counts,
                    verified=key is not None,
                    reads=False,
                )
            )
            await self._rooms.append([*drafts, said])
        return answer


HTTP_OK = 200


def _records_in(data: bytes) -> list[bytes]:
    """Return the elements of a JSON array. Raises: ClientError."""
    if len(data) > BODY_BYTES_MAX:
        raise _too_long()
    try:
        records = list(map(bytes, _split(data or b"[]")))
    except _UNREADABLE as error:
        apart = whole(data, BRACKETS_MAX)
        if apart is None:
            message = f"The body is not a JSON array of records: {error}"
            raise ClientError("InvalidRequestException", message) from None
        records = apart  # one that is bad refuses no others
    if len(records) > RECORDS_MAX:
        raise _too_long()
    return records


def _refused(records: Sequence[bytes], known: Known, key: AccessKey | None) -> list[Refused]:
    found: list[Refused] = []
    for index, (data, account) in enumerate(zip(records, known.accounts, strict=True)):
        if len(data) > RECORD_BYTES_MAX or b"\n" in data or b"\r" in data:
            found.append(Refused(index, NOT_ONE_LINE))
        elif account is None:
            found.append(Refused(index, NO_EVENT))
        elif key is not None and not _may_import(key, account):
            found.append(Refused(index, NOT_ALLOWED, again=True))
    return found


def _may_import(key: AccessKey, account: str) -> bool:
    actions = (IMPORT,) if account == key.account else (IMPORT, PUT_OTHERS)
    return all(authorize(key.policies, action, resource_of(account)) for action in actions)


def _check_allowed(key: AccessKey | None) -> None:
    """Refuse who may not even import what is its own. Raises: ClientError."""
    if key is not None and not authorize(key.policies, IMPORT, resource_of(key.account)):
        raise refusals.in_protocol(refusals.access_denied(key.arn, IMPORT), "rest-json")


def _too_long() -> ClientError:
    message = f"The request has more than {RECORDS_MAX} records, or {BODY_BYTES_MAX} bytes."
    return ClientError("RequestEntityTooLargeException", message, 413)


def _fault(error: ClientError) -> bytes:
    return msgspec.json.encode({"__type": error.code, "message": error.message})


def _send(client: Client, status: int, body: bytes, code: str = "") -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if code:
        headers.append((b"x-amzn-errortype", code.encode()))
    client.answer(status, headers, body, last=bool(code))
