# SPDX-License-Identifier: Apache-2.0
"""The door for records that are sent to us: who sends, what is taken in, and when that is durable."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from opentrail.access import refusals
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.access.policy import authorize
from opentrail.aws.request import RequestHead
from opentrail.aws.route import parse_credential
from opentrail.capture.arrival import Arrival, ClientGone, RequestBody
from opentrail.capture.intake import Batch, Intake, answer_of
from opentrail.capture.intake_body import BODY_BYTES_MAX, read, too_long, unpacked
from opentrail.capture.intake_senders import Sender
from opentrail.capture.intake_window import WINDOW_MS, Window
from opentrail.capture.reply import Client
from opentrail.clock import Clock
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.eventlog.base import Entry, Origin
from opentrail.eventlog.reader import SegmentReader
from opentrail.front.metrics import Metrics
from opentrail.front.senders import SentRecords
from opentrail.front.signer import signer

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
LOADED_AT_ONCE = 250
"""Records noted between two looks at whatever else there is to do: 1 ms."""
LOADED_BYTES_AT_ONCE = 64 * 1024
"""Bytes of the log looked through meanwhile, where few or none of its records were sent to us: the
records of some 250 calls, 1 ms if each is a frame of its own."""
LOADING_REST = 4
"""While calls pass, reading rests this many times as long as it worked: it takes a fifth of the loop."""
LOADED_SEGMENTS_MAX = 8
"""Segments of the log that are read at start to know what came in: two million records, some ten
seconds, in which only the intake has to wait."""


@dataclass(frozen=True, slots=True)
class IntakeAnswer:
    """What the sender is told."""

    status: int
    body: bytes
    code: str = ""
    """Of an error."""


def resource_of(account: str) -> str:
    """Return the resource that policies name to allow records of ``account``."""
    return f"arn:aws:opentrail::{account}:records"


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
        self._log: SegmentReader | None = None
        self._intake = Intake(Window(self._read), metrics)
        self._long = 0
        self.busy = 0
        """Requests that are being answered."""
        self._awaited: dict[Batch, asyncio.Event] = {}
        """Batches that others wait for, until they are over."""
        self._not_ready = "it is starting; try again"

    @property
    def ready(self) -> bool:
        """Whether it is known what came in before; else senders are told to come back."""
        return not self._not_ready

    def _read(self, position: int) -> bytes | None:
        assert self._log is not None, "nothing is found before there is a log"
        try:
            return self._log.read(position).data
        except KeyError:
            return None

    def open(self, data: Path, calls: Callable[[], int] = lambda: 0) -> None:
        """Read the log of the directory ``data`` from now on; the loop has its turns meanwhile.

        ``calls``: how many are under way, which go before.
        """
        steps = self.load(SegmentReader(data / "log"))
        loop, time_s = asyncio.get_running_loop(), self._clock.monotonic

        def step() -> None:
            began_s = time_s()
            for _ in steps:
                rest_s = (time_s() - began_s) * LOADING_REST if calls() else 0.0
                loop.call_later(rest_s, step)
                return

        step()

    def load(self, log: SegmentReader) -> Iterator[None]:
        """Read ``log`` from now on; yield between pieces of work, until all of the window is known.

        Until then senders are told to come back.
        """
        if self._log is not None:
            self._log.close()
        self._log = log
        self._not_ready = "it is still reading what came in before; try again"
        window = self._intake.window
        window.clear()
        self._sent.clear()
        try:
            start = log.since(self._clock.now_ms() - WINDOW_MS, LOADED_SEGMENTS_MAX)
            for piece in _pieces(start, log.of_origin(Origin.INTAKE, start, log.durable_end())):
                window.load(piece)
                yield
                if self._log is not log:
                    return  # another log is being read by now
        except Corrupt as error:
            self._not_ready = f"what came in before cannot be read: {error}"
        else:
            self._not_ready = ""

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
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer.body)),
            *more,
        ]
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

    async def answer(
        self, head: RequestHead, repeated: str, body: bytes, source_ip: str
    ) -> IntakeAnswer:
        """Answer one request, whose whole ``body`` is here.

        ``repeated`` is a decisive header that stands twice, if one does.
        """
        self.busy += 1
        try:
            return await self._answer(head, repeated, body, source_ip)
        except ClientError as error:
            self._metrics.intake_refused(error.code)
            return _error(error)
        except Unavailable as error:
            self._metrics.intake_refused("ServiceUnavailable")
            return _error(ClientError("ServiceUnavailable", f"OpenTrail: {error.message}.", 503))
        except Corrupt:
            self._metrics.intake_refused("InternalFailure")
            message = "A stored record does not check out; run opentrail fsck on the server."
            return _error(ClientError("InternalFailure", message, 500))
        finally:
            self.busy -= 1

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
        key = signer(head, repeated, body, self._keys, now_ms) if self._verify else None
        why = self._refusing() or self._not_ready
        if why:
            raise Unavailable(f"no records are taken now: {why}")
        data = unpacked(body, head.headers.get("content-encoding", ""))
        text = read(data, head.headers.get("content-type", ""))
        batch = Batch()
        try:
            with closing(self._intake.take(batch, text, _may_write(key), now_ms)) as pieces:
                for _ in pieces:
                    await _turn()
            if key is not None and batch.all_rejected("AccountNotAllowed"):
                denied = refusals.access_denied(key.arn, PUT_RECORDS)
                raise refusals.in_protocol(denied, "rest-json")
            await self._append(batch, Sender(key, source_ip, head.headers.get("user-agent", "")))
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


async def _turn() -> None:
    """Return once the event loop has done whatever else there was to do."""
    loop = asyncio.get_running_loop()
    turn: asyncio.Future[None] = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


def _pieces(start: int, frames: Iterator[tuple[int, list[Entry]]]) -> Iterator[list[Entry]]:
    """Yield what ``frames`` bring from ``start`` on, in pieces that take about as long each."""
    piece: list[Entry] = []
    for end, found in frames:
        piece += found
        while len(piece) >= LOADED_AT_ONCE:
            yield piece[:LOADED_AT_ONCE]
            del piece[:LOADED_AT_ONCE]
            start = end
        if end - start >= LOADED_BYTES_AT_ONCE:
            yield piece
            piece, start = [], end
    if piece:
        yield piece


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
