# SPDX-License-Identifier: Apache-2.0
"""The door for records that are sent to us: who sends, what is taken in, and when that is durable."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from opentrail.access import refusals
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.access.policy import authorize
from opentrail.aws.request import RequestHead
from opentrail.aws.route import parse_credential
from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.intake import Batch, Intake, answer_of
from opentrail.capture.intake_body import BODY_BYTES_MAX, is_one_record, read, too_long, unpacked
from opentrail.capture.intake_senders import Sender
from opentrail.capture.reply import Client
from opentrail.clock import Clock
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.front.intake_before import Before
from opentrail.front.metrics import Metrics
from opentrail.front.senders import SentRecords
from opentrail.front.signer import signer
from opentrail.front.turn import turn

SIGNING_NAME = "opentrail"
"""The service that requests are signed for."""
PUT_RECORDS = "opentrail:PutRecords"
"""The action of sending records of one's own account."""
PUT_OTHERS = "opentrail:PutRecordsOfOtherAccounts"
"""Needed besides, for records of another account than the sender's."""
ALLOWED_CACHED = 1024
"""Decisions that are kept: senders and accounts are few."""
LONG_MAX = 16
"""Requests longer than the 256 KB that come whole, at once: 128 MiB that wait in memory."""


class IntakeAnswer(msgspec.Struct, frozen=True, gc=False):
    """What the sender is told."""

    status: int
    body: bytes
    code: str = ""
    """Of an error."""


def resource_of(account: str) -> str:
    """Return the resource that policies name to allow records of ``account``."""
    return f"arn:aws:opentrail::{account}:records"


_JSON = (b"content-type", b"application/json")
_REFUSED = (ClientError, Unavailable, Corrupt)


class IntakeDoor:
    """Answers ``POST /_opentrail/intake``. Owned by the event loop."""

    def __init__(
        self,
        keys: KeyTable,
        sent: SentRecords,
        metrics: Metrics,
        clock: Clock,
        *,
        refusing: Callable[[], str],
        verify: bool,
    ) -> None:
        """``refusing`` says why the log takes nothing now.

        ``verify``: only known keys may send.
        """
        self._keys = keys
        self._sent = sent
        self._metrics = metrics
        self._clock = clock
        self._refusing = refusing
        self._verify = verify
        self.before = Before(clock)
        self._intake = Intake(self.before.window, metrics)
        self._long = 0
        self.busy = 0
        """Requests that are being answered."""
        self._awaited: dict[Batch, asyncio.Event] = {}
        """Batches that others wait for, until they are over."""

    @property
    def ready(self) -> bool:
        """Whether it is known what came in before; else senders are told to come back."""
        return not self.before.unknown

    def open(self, data: Path, calls: Callable[[], int] = lambda: 0) -> None:
        """Take records for the log of the directory ``data`` from now on; see ``Before.open``."""
        self._sent.clear()
        self.before.open(data, calls)

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Answer one request, as ``front.server.App`` does."""
        head = arrival.head
        if head.method != "POST":
            error = ClientError("MethodNotAllowed", "The intake takes POST.", 405)
            self._send(client, _error(error), (b"allow", b"POST"))
            return
        try:
            data = await self._whole(head, body)
        except ClientGone:
            self._metrics.intake_refused("ClientGone")
        except ClientError as error:
            self._metrics.intake_refused(error.code)
            self._send(client, _error(error), last=True)
        else:
            self._send(client, await self.answer(head, arrival.repeated, data, arrival.source_ip))

    async def _whole(self, head: RequestHead, body: RequestBody) -> bytes:
        """Return the body. A long one is waited for only if a known key seems to send it.

        Raises: ClientGone. ClientError: it is too long, or too many others are on their way.
        """
        if body.done:
            return body.here
        if self._verify:
            credential = parse_credential(head)
            if credential is None or self._keys.find(credential.access_key_id) is None:
                raise refusals.in_protocol(refusals.unknown_key(), "rest-json")
        if self._long >= LONG_MAX:
            message = "Too many long requests are on their way; try again."
            raise ClientError("ServiceUnavailable", message, 503)
        self._long += 1
        try:
            data = await body.whole(BODY_BYTES_MAX)
        finally:
            self._long -= 1
        if data is None:
            raise too_long()
        return data

    def _send(
        self, client: Client, answer: IntakeAnswer, *more: tuple[bytes, bytes], last: bool = False
    ) -> None:
        headers = [_JSON, (b"content-length", b"%d" % len(answer.body)), *more]
        if answer.code:
            headers.append((b"x-amzn-errortype", answer.code.encode()))
        client.answer(answer.status, headers, answer.body, last=last)

    def measure(self) -> None:
        """Put what is known into the metrics."""
        window = self._intake.window
        self._metrics.intake_window_records = len(window)
        since_ms = window.since_ms()
        age_ms = self._clock.now_ms() - since_ms if since_ms else 0
        self._metrics.intake_window_s = max(age_ms, 0) / 1000

    def begin(
        self, arrival: Arrival, body: RequestBody, client: Client
    ) -> asyncio.Future[Any] | None:
        """Begin to answer a request of one record, as ``handle`` does, without a task of its own.

        That would take as long as the record. The answer is sent when the future ends. None: nothing
        was done, and ``handle`` must be awaited.
        """
        head, data = arrival.head, body.here
        if not body.done or head.method != "POST" or not is_one_record(data, head.headers):
            return None
        now_ms = self._clock.now_ms()
        batch = Batch()
        try:
            key = self._admit(head, arrival.repeated, data, now_ms)
            self._intake.take_one(batch, data, _may_write(key), now_ms)
            self._check_allowed(batch, key)
        except _REFUSED as error:
            self._send(client, self._refused(error))
            return _ended()
        self.busy += 1
        sender = Sender(key, arrival.source_ip, head.headers.get("user-agent", ""))
        appended = self._sent.begin(batch.drafts, sender, now_ms) if batch.drafts else None
        if appended is None:
            return asyncio.get_running_loop().create_task(self._finish_one(batch, sender, client))
        appended.add_done_callback(partial(self._appended, batch, sender, client))
        return appended

    def _appended(
        self, batch: Batch, sender: Sender, client: Client, appended: asyncio.Future[list[int]]
    ) -> None:
        """Do step 4 of ``_answer`` for one record that is new."""
        self.busy -= 1
        error = appended.exception()
        if error is None:
            self._intake.settle(batch, appended.result(), self._clock.now_ms())
            self._sent.count(sender, batch.counted())
        else:
            self._intake.give_up(batch)
        self._end(batch)
        self._send(client, self._refused(error) if error else IntakeAnswer(200, answer_of(batch)))

    async def _finish_one(self, batch: Batch, sender: Sender, client: Client) -> None:
        """Do steps 3 and 4 for one record that came in before, or that whose sender goes with."""
        try:
            answer = await self._or_refused(self._finish(batch, sender))
        finally:
            self.busy -= 1
        self._send(client, answer)

    async def answer(
        self, head: RequestHead, repeated: str, body: bytes, source_ip: str
    ) -> IntakeAnswer:
        """Answer one request, whose whole ``body`` is here.

        ``repeated`` is a decisive header that stands twice, if one does.
        """
        self.busy += 1
        try:
            return await self._or_refused(self._answer(head, repeated, body, source_ip))
        finally:
            self.busy -= 1

    async def _or_refused(self, work: Coroutine[Any, Any, IntakeAnswer]) -> IntakeAnswer:
        try:
            return await work
        except _REFUSED as error:
            return self._refused(error)

    def _refused(self, error: BaseException) -> IntakeAnswer:
        """Return what is told of an error, and count it."""
        if isinstance(error, Corrupt):
            message = "A stored record does not check out; run opentrail fsck on the server."
            error = ClientError("InternalFailure", message, 500)
        elif isinstance(error, Unavailable):
            error = ClientError("ServiceUnavailable", f"OpenTrail: {error.message}.", 503)
        assert isinstance(error, ClientError), error
        self._metrics.intake_refused(error.code)
        return _error(error)

    def _admit(
        self, head: RequestHead, repeated: str, body: bytes, now_ms: int
    ) -> AccessKey | None:
        """Return whose request it is; None where nobody is asked. Raises: ClientError. Unavailable."""
        key = signer(head, repeated, body, self._keys, now_ms) if self._verify else None
        why = self._refusing() or self.before.unknown
        if why:
            raise Unavailable(f"no records are taken now: {why}")
        return key

    async def _answer(
        self, head: RequestHead, repeated: str, body: bytes, source_ip: str
    ) -> IntakeAnswer:
        """Take in what the request brings.

        1. who sends it, and is the body the one that was signed
        2. take it apart, check each record, find what came in before; other requests have their
           turns meanwhile
        3. append what is new, in one piece, and who sent it if it is time to say so
           (durable when it returns)
        4. wait for what its duplicates are duplicates of, and answer
        A crash before 3 ends: all of it or nothing is in the log, and the sender, who was told
        nothing, sends it again. After: the same, and all of it is known.
        """
        now_ms = self._clock.now_ms()
        key = self._admit(head, repeated, body, now_ms)
        data = unpacked(body, head.headers.get("content-encoding", ""))
        text = read(data, head.headers.get("content-type", ""))
        batch = Batch()
        try:
            with closing(self._intake.take(batch, text, _may_write(key), now_ms)) as pieces:
                for _ in pieces:
                    await turn()
            self._check_allowed(batch, key)
            sender = Sender(key, source_ip, head.headers.get("user-agent", ""))
            return await self._finish(batch, sender)
        finally:
            self._end(batch)

    def _check_allowed(self, batch: Batch, key: AccessKey | None) -> None:
        """Refuse a request of which nothing is the sender's to write. Raises: ClientError."""
        if key is not None and batch.all_rejected("AccountNotAllowed"):
            denied = refusals.access_denied(key.arn, PUT_RECORDS)
            raise refusals.in_protocol(denied, "rest-json")

    async def _finish(self, batch: Batch, sender: Sender) -> IntakeAnswer:
        """Do steps 3 and 4 of ``_answer``."""
        try:
            await self._append(batch, sender)
        finally:
            self._end(batch)
        for other in batch.relies_on:
            await self._durable(other)
        return IntakeAnswer(200, answer_of(batch))

    async def _append(self, batch: Batch, sender: Sender) -> None:
        """Return once the batch is durable. Raises: Unavailable."""
        positions: list[int] | None = None
        try:
            positions = await self._sent.append(batch.drafts, sender, batch.counted())
        finally:
            if positions is None:
                self._intake.give_up(batch)
            else:
                self._intake.settle(batch, positions, self._clock.now_ms())

    def _end(self, batch: Batch) -> None:
        """Tell those that wait for the batch that it is over."""
        batch.over = True
        awaited = self._awaited.pop(batch, None)
        if awaited is not None:
            awaited.set()

    async def _durable(self, other: Batch) -> None:
        """Return once another batch is durable. Raises: Unavailable: it is not."""
        if not other.over:
            await self._awaited.setdefault(other, asyncio.Event()).wait()
        if not other.durable:
            raise Unavailable("it is not known what became of the records; send them again")


def _ended() -> asyncio.Future[None]:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    return ended


def _may_write(key: AccessKey | None) -> Callable[[str], bool]:
    """Return whether a sender may write records of an account; None: nobody is asked who they are."""
    if key is None:
        return bool
    return lambda account: allowed(key.policies, key.account, account)


@functools.lru_cache(maxsize=ALLOWED_CACHED)
def allowed(policies: tuple[str, ...], own: str, account: str) -> bool:
    """Return whether a sender of account ``own`` may write records of ``account``."""
    actions = (PUT_RECORDS,) if account == own else (PUT_RECORDS, PUT_OTHERS)
    return all(authorize(policies, action, resource_of(account)) for action in actions)


def _error(error: ClientError) -> IntakeAnswer:
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    return IntakeAnswer(error.status, body, error.code)
