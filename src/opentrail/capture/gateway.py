# SPDX-License-Identifier: Apache-2.0
"""The gateway: a reverse proxy that records every call before it is answered."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from opentrail.aws.address import addressed
from opentrail.aws.ambiguity import ambiguous
from opentrail.aws.catalog import takes_unsigned
from opentrail.aws.post_form import POST_OBJECT, post_object
from opentrail.aws.protocol import ERROR_STATUS_MIN, render_error, unsupported
from opentrail.aws.request import Credential, RequestHead, Target
from opentrail.aws.route import identify, parse_credential
from opentrail.aws.textvalue import of_header
from opentrail.capture.admit import Admission, Admitted, Request, wrong_body
from opentrail.capture.arrival import Arrival, RequestBody
from opentrail.capture.build import BuildSettings, fails_late, response_recorded
from opentrail.capture.call import Call, Caller, Outcome, plain
from opentrail.capture.exclude import OWN_SOURCES, Exclusion, excluded_by
from opentrail.capture.headers import dated
from opentrail.capture.identity import Identities, teaches
from opentrail.capture.outgoing import Sender
from opentrail.capture.owed import OwedRecords
from opentrail.capture.recorder import Counts, Recorder
from opentrail.capture.reply import Client, reply, take
from opentrail.capture.upstream import Answer, Unreachable, Upstreams, UpstreamSettings
from opentrail.clock import Clock, Ids, uuid4_text
from opentrail.errors import ClientError, Unavailable
from opentrail.eventlog.base import Draft
from opentrail.eventlog.inflight import InFlight

S3_SOURCE = "s3.amazonaws.com"

LATE_ERROR_S_MAX = 20.0
"""How long S3's word is waited for that a copy was made: it keeps clients patient with blanks, of which
they get none from us until then; a third of their own timeout."""
PROVING = frozenset({*range(200, 300), 304})
"""HTTP statuses that only a good signature gets: a redirection comes before it is looked at."""


class OwnApi(Protocol):
    """OpenTrail's own API, wherever it runs."""

    async def answer(self, call: Call, credential: Credential | None, body: bytes) -> Answer:
        """Answer a call of CloudTrail's API. Raises: Unavailable: it is not running now."""
        ...


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What the gateway needs to know."""

    build: BuildSettings
    exclusions: Sequence[Exclusion] = ()
    domain: str = ""
    """Under which buckets and services have host names; empty for none."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the gateway works with."""

    upstreams: Upstreams
    sender: Sender
    identities: Identities
    admission: Admission
    own_api: OwnApi
    own_bucket: Callable[[str], bool]
    """Whether the bucket of a raw S3 path is OpenTrail's own."""
    append: Callable[[Sequence[Draft]], Awaitable[Sequence[int]]]
    """Durable when it returns. Raises: Unavailable."""
    refusing: Callable[[], str]
    """Why the log takes nothing now; "" when it does."""
    durable_end: Callable[[], int]
    inflight: InFlight
    counts: Counts
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that has been opened: what it is, and what it came with."""

    call: Call
    arrival: Arrival
    credential: Credential | None
    body: RequestBody
    refusal: ClientError | None
    """Why it is not forwarded; None: it is."""


class Gateway:
    """Takes calls, passes them on, records them, and only then answers."""

    def __init__(self, settings: GatewaySettings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._recorder = Recorder(
            settings.build,
            parts.identities,
            parts.append,
            parts.durable_end,
            parts.inflight,
            parts.counts,
            parts.ids,
            OwedRecords(parts.inflight),
        )

    async def settle_owed(self) -> None:
        """Record what could not be recorded when it was made. Raises: Unavailable: not now either."""
        await self._recorder.owed.step(self._parts.append)

    async def handle(self, arrival: Arrival, body: RequestBody, client: Client) -> None:
        """Handle one call.

            1. decide who calls what
            2. refuse what must be refused: a refusal is recorded like any other answer
            3. claim an in-flight slot            (from here on a killed process leaves a trace)
            4. forward
            5. take the status, and the body where the record needs it
            6. append the record                  (durable when it returns)
            7. release the slot
            8. answer the client

        A crash before 4: the upstream saw nothing; the slot becomes a record with outcome unknown.
        A crash from 4 to 6: the same, and the upstream may have acted. From 6 to 7: the slot's
        event id is found in the log, nothing is added. After 7: nothing is left to do.
        A full disk at 6: the record is owed, and its slot stays, until there is room (``owed``).
        """
        self._parts.counts.seen()
        asked = None
        try:
            asked = self._open(arrival, body)
        finally:
            if asked is None:
                self._parts.counts.failed("error")
        call = asked.call
        excluded = "" if asked.refusal else excluded_by(self._settings.exclusions, call)
        why = "" if excluded else self._parts.refusing()
        if why and (asked.refusal or not self._passes_unrecorded(asked)):
            self._parts.counts.failed("log_refuses")
            await reply(self._refused(call, _log_refuses(why)), client)
            return
        if excluded or why:
            self._count_unrecorded(call, excluded)
            await reply(await self._answer(asked), client)
            return
        try:
            answer = await self._settle(asked)
        except Unavailable as error:
            answer = self._refused(call, _log_refuses(str(error)))
        await reply(answer, client)

    def _passes_unrecorded(self, asked: _Asked) -> bool:
        """Whether the operator wants this call forwarded although its record cannot be written.

        What OpenTrail answers itself never is: who asks for evidence leaves some.
        """
        if self._is_own(asked.call):
            return False
        upstream = self._upstream(asked)
        return upstream is not None and upstream.forwards_unrecorded

    def _count_unrecorded(self, call: Call, excluded: str) -> None:
        if excluded:
            self._parts.counts.excluded(f"rule:{excluded}")
        else:
            self._parts.inflight.unrecorded.add(call.finished_ms, self._parts.durable_end())
            self._parts.counts.failed("forwarded_unrecorded")

    def abandoned(self) -> None:
        """Count a call whose client left, or fell silent, before anything could be forwarded."""
        self._parts.counts.seen()
        self._parts.counts.excluded("client_gone")

    def _open(self, arrival: Arrival, body: RequestBody) -> _Asked:
        """Decide who calls what, and whether it may pass."""
        parts = self._parts
        now_ms = parts.clock.now_ms()
        credential = parse_credential(arrival.head)
        address = addressed(arrival.head, credential, self._settings.domain)
        head = address.head
        kept = body.kept()
        sent = plain(kept, head.headers).data
        target = identify(head, credential, sent, address.service)
        claimed = credential
        if credential is None and (form := post_object(head, sent)) is not None:
            head, claimed, target = form.head, form.credential, POST_OBJECT
        admitted = parts.admission.check(
            Request(
                arrival,
                credential,
                body,
                target.protocol,
                own=target.event_source in OWN_SOURCES,
                reads_bucket=self._reads_bucket(target, head),
            ),
            now_ms,
        )
        caller = self._caller(admitted, claimed, now_ms)
        # Whoever merely claims to be a service does not hide behind its name.
        service = caller.invoked_by if admitted.verified else ""
        call = Call(
            event_id=uuid4_text(parts.ids),
            target=target,
            head=head,
            caller=caller,
            source_ip=service or arrival.source_ip,
            user_agent=service or of_header(head.headers.get("user-agent", "")),
            finished_ms=now_ms,
            outcome=Outcome.UNKNOWN,
            request=kept,
            request_id=uuid4_text(parts.ids),
            tls=arrival.tls,
            shared_event_id=uuid4_text(parts.ids) if caller.is_service else "",
        )
        refusal = (
            admitted.refusal
            or address.refusal
            or unsupported(target)
            or ambiguous(head, target, sent)
        )
        return _Asked(call, arrival, credential, body, refusal)

    def _caller(self, admitted: Admitted, credential: Credential | None, now_ms: int) -> Caller:
        identities = self._parts.identities
        if admitted.vouched is not None:
            return identities.vouched(admitted.vouched)
        caller = identities.caller(credential, now_ms, verified=admitted.verified)
        if admitted.from_console and not caller.from_console:
            return msgspec.structs.replace(caller, from_console=True)
        return caller

    def _reads_bucket(self, target: Target, head: RequestHead) -> bool:
        return target.event_source == S3_SOURCE and self._parts.own_bucket(head.path)

    def _is_own(self, call: Call) -> bool:
        """Whether OpenTrail itself answers: its own API, and S3 reads of its directory buckets."""
        return call.target.event_source in OWN_SOURCES or self._reads_bucket(call.target, call.head)

    async def _settle(self, asked: _Asked) -> Answer:
        """Do steps 3 to 7. Raises: Unavailable: the record could not be made durable."""
        recorder, call = self._recorder, asked.call
        try:
            slot = recorder.claim(call)
        except Unavailable as error:
            answer = self._refused(call, _unavailable(error))
            await self._record_refusal(call)
            return answer
        made = None
        try:
            answer = await self._answer(asked)
            if not call.request.complete:  # else all of it was here before it was forwarded
                call.request = asked.body.kept()
            made = recorder.made(call)
        finally:
            if made is None:
                await recorder.broken(call, slot)
        try:
            await recorder.record(made)
        except Unavailable:
            recorder.owe(made, slot)
            if self._passes_unrecorded(asked):
                return answer
            answer.close()
            raise
        self._parts.inflight.release(slot)
        return answer

    async def _record_refusal(self, call: Call) -> None:
        """Record a call that was refused because it got no slot. Raises: Unavailable."""
        try:
            await self._recorder.record(self._recorder.made(call))
        except Unavailable:
            self._parts.counts.failed("append")
            raise

    async def _answer(self, asked: _Asked) -> Answer:
        """Have the call answered, by whoever it is for, and note in it what came of it."""
        call = asked.call
        if asked.refusal is not None:
            return self._refused(call, asked.refusal)
        try:
            if self._is_own(call):
                answer = await self._parts.own_api.answer(call, asked.credential, call.request.data)
                answer.headers = dated(answer.headers, self._parts.clock.now_ms())
                return await self._answered(call, answer, trusted=False)
            return await self._forward(asked)
        except Unreachable as error:
            call.additional["upstream"] = error.message
            return self._refused(call, _unavailable(error), Outcome.UNREACHABLE)
        except Unavailable as error:
            return self._broken_off(call, error, asked.body)

    def _broken_off(self, call: Call, error: Unavailable, body: RequestBody) -> Answer:
        """Return what the client is told of a call that was sent, or partly, without an answer."""
        if body.wrong:
            return self._refused(
                call, wrong_body(call.head.headers.get("x-amz-content-sha256", ""))
            )
        reason = "the client closed the connection" if body.gone else error.message
        call.additional["outcomeReason"] = reason
        return self._refused(call, _unavailable(error), Outcome.UNKNOWN)

    async def _forward(self, asked: _Asked) -> Answer:
        """Do step 4. Raises: Unreachable: nothing was sent. Unavailable: the outcome is unknown."""
        call, credential = asked.call, asked.credential
        upstream = self._upstream(asked)
        if upstream is None:
            raise Unreachable(
                f"no upstream is configured for {call.target.event_source or 'this service'}"
            )
        sender = self._parts.sender
        try:
            sent = await sender.outgoing(call, asked.arrival, credential, asked.body, upstream)
        except ClientError as error:
            return self._refused(call, error)
        answer = await self._parts.upstreams.send(
            upstream, call.head.method, sent.target, sent.headers, sent.body
        )
        call.checks_bucket_owner = upstream.checks_bucket_owner
        if credential is not None and upstream.verifies_signatures and _proves(call, answer.status):
            call.caller = msgspec.structs.replace(call.caller, verified=True)
        # Signed anew, GetCallerIdentity tells who the upstream's key is, not the caller's.
        asks_of_us = sender.resigns and call.target.operation == "GetCallerIdentity"
        trusted = upstream.trusted_identity and not asks_of_us
        return await self._answered(call, answer, trusted=trusted)

    def _upstream(self, asked: _Asked) -> UpstreamSettings | None:
        signing_name = asked.credential.signing_name if asked.credential else ""
        return self._parts.upstreams.find(asked.call.target.service, signing_name)

    async def _answered(self, call: Call, answer: Answer, *, trusted: bool) -> Answer:
        """Take the status and, where the record needs it, the body; learn identities from it."""
        call.finished_ms = self._parts.clock.now_ms()
        call.outcome = Outcome.ANSWERED
        call.status = answer.status
        call.response_headers = answer.header_map()
        if self._needs_body(call) or (trusted and teaches(call.target)):
            late = answer.status < ERROR_STATUS_MIN and fails_late(call.target)
            data, broken = await take(answer, LATE_ERROR_S_MAX if late else None)
            if broken:
                call.additional["responseIncomplete"] = True
                return answer
            call.response = data
            if trusted:
                self._parts.identities.learn(call, call.finished_ms)
                call.caller = self._parts.identities.asker(call) or call.caller
        return answer

    def _needs_body(self, call: Call) -> bool:
        """Whether the answer's body says something for the record: an error, or what was made."""
        return (
            call.status >= ERROR_STATUS_MIN
            or fails_late(call.target)
            or response_recorded(call.target, self._settings.build)
        )

    def _refused(
        self, call: Call, error: ClientError, outcome: Outcome = Outcome.REFUSED
    ) -> Answer:
        """Return ``error`` in the protocol of the call, and note it in the call.

        Where the outcome is unknown the call may well have succeeded: its record has no error.
        """
        call.finished_ms = self._parts.clock.now_ms()
        call.outcome = outcome
        call.status = error.status
        if outcome is not Outcome.UNKNOWN:
            call.error_code, call.error_message = error.code, error.message
        status, headers, body = render_error(call.target, error, call.request_id)
        return Answer(status, dated(headers, call.finished_ms), whole=body)


def _proves(call: Call, status: int) -> bool:
    """Return whether an upstream that checks signatures has checked the one of ``call``.

    It looks at none where nobody signs: when a browser asks what it may do (OPTIONS), and for
    operations that make credentials of tokens.
    """
    return status in PROVING and call.head.method != "OPTIONS" and not takes_unsigned(call.target)


def _log_refuses(why: str) -> ClientError:
    return ClientError("ServiceUnavailable", f"OpenTrail cannot record calls now: {why}", 503)


def _unavailable(error: Unavailable) -> ClientError:
    return ClientError("ServiceUnavailable", f"OpenTrail: {error.message}.", 503)
