# SPDX-License-Identifier: Apache-2.0
"""The back process as front sees it: started, restarted, asked, and told what is durable."""

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from opentrail.aws.request import Credential
from opentrail.capture.call import Call
from opentrail.capture.gateway import S3_SOURCE
from opentrail.capture.upstream import Answer, NoAnswer, Unreachable
from opentrail.errors import Unavailable
from opentrail.eventlog.base import Draft, MarkKind
from opentrail.eventlog.link import (
    HEAD_BYTES,
    Kind,
    decode_drafts,
    decode_marks,
    encode_positions,
    encode_refusal,
    frame,
    parse_head,
)
from opentrail.eventlog.standing import NOT_STARTED
from opentrail.front.pulse import Pulse
from opentrail.wire.app import ApiRequest, ApiResponse, Principal
from opentrail.wire.s3_door import S3Request
from opentrail.wire.search_door import Asked

ANSWER_TIMEOUT_S = 60.0
"""botocore's own read timeout: nobody waits longer."""
RESTART_DELAYS_S = (0.05, 0.2, 1.0, 5.0)
"""A back that dies once is back at once; one that dies at every start does not eat a core."""
HEALTHY_AFTER_S = 10.0
"""A back that lived this long starts over with the shortest delay."""
INDEX_TURN_S, INDEX_TURNS = 0.02, 500
"""How often, and how many times, it is asked whether the index has caught up: ten seconds."""
NOTICE_DELAY_S = 0.02
"""Commits are announced in bundles: 50 wake-ups a second at most, far below the 250 ms in which
an event is to be visible."""

NOTHING = (0, (0, 0))
"""What is indexed before back has said anything."""

_log = logging.getLogger("opentrail.back")
_encode = msgspec.msgpack.Encoder().encode
_gauges = msgspec.msgpack.Decoder(list[tuple[str, str, str, float]]).decode
_tally = msgspec.msgpack.Decoder(tuple[int, tuple[int, int]]).decode
_answer = msgspec.msgpack.Decoder(ApiResponse).decode

AsPrincipal = Callable[[Call, Credential | None], Principal]


class Appends(Protocol):
    """What back may have appended; ``front.commit.GroupCommit`` is it."""

    def append(self, drafts: Sequence[Draft]) -> Awaitable[list[int]]:
        """Append records. Raises: Unavailable."""
        ...

    def append_marks(self, marks: Sequence[tuple[MarkKind, bytes]]) -> Awaitable[list[int]]:
        """Append marks. Raises: Unavailable."""
        ...


class Backend:
    """Keeps one back process running. Satisfies ``capture.gateway.OwnApi``."""

    def __init__(
        self,
        hello: bytes,
        as_principal: AsPrincipal,
        commit: Appends,
        durable_end: Callable[[], int],
    ) -> None:
        """``hello`` is what back is told first: its settings (msgpack)."""
        self._hello = hello
        self._as_principal = as_principal
        self._commit = commit
        self._durable_end = durable_end
        self._writer: asyncio.StreamWriter | None = None
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._appends: set[asyncio.Task[None]] = set()
        self._last = 0
        self._notice: asyncio.TimerHandle | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()
        self.indexed_to = 0
        self.tally = NOTHING
        """The log's first position, and the events and other records that are indexed from there."""
        self.needed_from = 0
        self.gauges: list[tuple[str, str, str, float]] = []
        self._still: list[str] = []
        """Which rooms of this process stand still, and why."""
        self._not_started: list[str] = []
        """Why the last process could not start, until one could."""
        self.restarts = -1
        self._asked = False
        self.pulse = Pulse(lambda: self._send(Kind.BEAT, 0))

    async def run(self) -> None:
        """Keep back running until cancelled."""
        loop = asyncio.get_running_loop()
        delay = 0
        while True:
            began = loop.time()
            self.restarts += 1
            try:
                await self._run_once()
            except OSError as error:
                _log.error("back cannot be started: %s", error.strerror)
            finally:
                await self._gone()
            delay = 0 if self._asked or loop.time() - began > HEALTHY_AFTER_S else delay
            if not self._asked:
                _log.error("back ended; starting it again in %s s", RESTART_DELAYS_S[delay])
            self._asked = False
            await asyncio.sleep(RESTART_DELAYS_S[delay])
            delay = min(delay + 1, len(RESTART_DELAYS_S) - 1)

    async def _run_once(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "opentrail.back",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(frame(Kind.HELLO, 0, self._hello))
        try:
            while True:
                kind, number, length = parse_head(await reader.readexactly(HEAD_BYTES))
                self._take(kind, number, await reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, Unavailable):
            return

    def _take(self, kind: Kind, number: int, payload: bytes) -> None:
        if kind is Kind.REPLY:
            answer = self._answers.pop(number, None)
            if answer is not None and not answer.done():
                answer.set_result(payload)
        elif kind is Kind.APPEND:
            self._append(number, self._commit.append(decode_drafts(payload)))
        elif kind is Kind.MARKS:
            self._append(number, self._commit.append_marks(decode_marks(payload)))
        else:
            self._told(kind, number, payload)

    def _told(self, kind: Kind, number: int, payload: bytes) -> None:
        """Note what back says of itself."""
        if kind is Kind.INDEXED:
            self.indexed_to, self.tally = number, _tally(payload)
        elif kind is Kind.NEEDED:
            self.needed_from = number
        elif kind is Kind.GAUGES:
            self.gauges = _gauges(payload)
        elif kind is Kind.READY:
            self._not_started = []
            self.ready.set()
            self.pulse.begin()
        elif kind is Kind.STILL and number == NOT_STARTED:
            self._not_started = [payload.decode()]
        elif kind is Kind.STILL:
            self._still.append(payload.decode())
        elif kind is Kind.BEAT:
            self.pulse.heard()

    def _append(self, number: int, appending: Awaitable[list[int]]) -> None:
        """Have back told what comes of ``appending``."""
        task = asyncio.create_task(self._answer_append(number, appending))
        self._appends.add(task)
        task.add_done_callback(self._appends.discard)

    async def _answer_append(self, number: int, appending: Awaitable[list[int]]) -> None:
        try:
            positions = await appending
        except Unavailable as error:
            self._send(Kind.REFUSED, number, encode_refusal(error))
        else:
            self._send(Kind.APPENDED, number, encode_positions(positions))

    def _send(self, kind: Kind, number: int, payload: bytes = b"") -> None:
        # Closed, but not yet seen to be: back was killed this moment, and who waits hears of it next.
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame(kind, number, payload))

    @property
    def still(self) -> list[str]:
        """Return which of its rooms stand still, or that none has started, and why."""
        return [*self._not_started, *self._still]

    def durable(self) -> None:
        """Tell back soon that the log's durable end has moved."""
        if self._notice is None and self._writer is not None:
            loop = asyncio.get_running_loop()
            self._notice = loop.call_later(NOTICE_DELAY_S, self._tell)

    def _tell(self) -> None:
        self._notice = None
        self._send(Kind.DURABLE, self._durable_end())

    async def answer(self, call: Call, credential: Credential | None, body: bytes) -> Answer:
        """See ``capture.gateway.OwnApi``."""
        response = await self._ask(*self._request(call, credential, body))
        return Answer(response.status, response.headers, whole=response.body)

    async def search(self, asked: Asked) -> ApiResponse:
        """Return what back finds. Raises: Unavailable: it is not running now, or too slow."""
        return await self._ask(Kind.SEARCH, _encode(asked))

    async def known(self, records: Sequence[bytes], end: int) -> ApiResponse:
        """Return what is known of ``records`` once the index has all below ``end``.

        Raises: Unavailable: it is not running now, or its index is far behind.
        """
        for _ in range(INDEX_TURNS):
            if self.indexed_to >= end:
                return await self._ask(Kind.KNOWN, _encode(records))
            await asyncio.sleep(INDEX_TURN_S)
        raise Unavailable("the index is behind the log; try again")

    async def _ask(self, kind: Kind, request: bytes) -> ApiResponse:
        """Return back's reply. Raises: Unreachable: it is not running. NoAnswer: it may have acted."""
        if not self.ready.is_set():
            if self._not_started:
                raise Unreachable("CloudTrail's own API cannot start; the server's health says why")
            raise Unreachable("CloudTrail's own API is starting; try again in a moment")
        self._last += 1
        number = self._last
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        self._send(kind, number, request)
        try:
            return _answer(await asyncio.wait_for(waiting, ANSWER_TIMEOUT_S))
        except TimeoutError as error:
            raise NoAnswer("CloudTrail's own API did not answer in time") from error
        finally:
            self._answers.pop(number, None)

    def _request(
        self, call: Call, credential: Credential | None, body: bytes
    ) -> tuple[Kind, bytes]:
        """Return the frame that asks back for the answer of ``call``."""
        head, principal = call.head, self._as_principal(call, credential)
        if call.target.event_source == S3_SOURCE:
            read = S3Request(
                head.method, head.path, head.query, head.headers, principal, call.request_id
            )
            return Kind.READ, _encode(read)
        request = ApiRequest(
            target=head.headers.get("x-amz-target", ""),
            content_type=head.headers.get("content-type", ""),
            method=head.method,
            path=head.path,
            body=body,
            principal=principal,
            # Not the account that the call is recorded under: that is the default one where the
            # caller's own is not accepted.
            account=principal.account,
            region=call.caller.region,
            request_id=call.request_id,
        )
        return Kind.CALL, _encode(request)

    def restart(self) -> None:
        """Have back start anew, on the log that there is now."""
        if self._process is not None and self._process.returncode is None:
            self._asked = True
            # Both are of the log that was; retention must not go by them.
            self.indexed_to = self.needed_from = 0
            self.tally = NOTHING
            self.ready.clear()
            self._process.kill()

    async def _gone(self) -> None:
        """Clean up behind a back process that has ended.

        Whoever comes next may look into the log for what became of its appends: none of them may
        happen after that.
        """
        self.ready.clear()
        self.pulse.end()
        self._still = []
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(NoAnswer("CloudTrail's own API was interrupted; try again"))
        self._answers.clear()
        if self._process is not None:
            process, self._process = self._process, None
            if process.returncode is None:
                process.kill()
            await process.wait()
        await asyncio.gather(*self._appends)
