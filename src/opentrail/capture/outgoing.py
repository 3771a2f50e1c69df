# SPDX-License-Identifier: Apache-2.0
"""How a call goes on to its upstream: as it came, or signed anew by a key that the upstream knows."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from opentrail.access.chunks import SIGNED_CHUNKS, SIGNED_TRAILER
from opentrail.access.resign import ChunkResigner, Unsigned, UpstreamKey, resign
from opentrail.aws import tables
from opentrail.aws.address import upstream_target
from opentrail.aws.request import Credential
from opentrail.capture.arrival import Arrival, RequestBody, WrongBody
from opentrail.capture.call import Call
from opentrail.capture.dial import UpstreamSettings
from opentrail.capture.headers import NOT_FORWARDED, Headers, end_to_end
from opentrail.clock import Clock
from opentrail.errors import ClientError

UNSIGNED = "UNSIGNED-PAYLOAD"

Body = bytes | AsyncIterator[bytes] | None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """What goes on."""

    target: str
    headers: Headers
    body: Body


class UpstreamKeys(Protocol):
    """The keys that upstreams know."""

    async def find(self, upstream: UpstreamSettings, names: tuple[str, ...]) -> UpstreamKey | None:
        """Return the key of the first of ``names`` that has one, else the upstream's own.

        Raises: Unreachable: it cannot be had now.
        """
        ...


class _Issuer(msgspec.Struct, frozen=True):
    arn: str = ""


class _Context(msgspec.Struct, frozen=True, rename="camel"):
    session_issuer: _Issuer = _Issuer()


class _Identity(msgspec.Struct, frozen=True, rename="camel"):
    arn: str = ""
    session_context: _Context = _Context()
    invoked_by: str = ""


class Sender:
    """Makes what goes on of what came."""

    def __init__(self, keys: UpstreamKeys | None, clock: Clock) -> None:
        """``keys``: None where calls go on as they came."""
        self._keys = keys
        self._clock = clock

    @property
    def resigns(self) -> bool:
        """Whether calls are signed anew: the upstream then sees another caller than we do."""
        return self._keys is not None

    async def outgoing(
        self,
        call: Call,
        arrival: Arrival,
        credential: Credential | None,
        body: RequestBody,
        upstream: UpstreamSettings,
    ) -> Outgoing:
        """Return what goes on. Raises: ClientError: nothing may. Unreachable."""
        if self._keys is None:
            return Outgoing(upstream_target(arrival.head), arrival.raw_headers, body.forwarded())
        key = await self._keys.find(upstream, names_of(call))
        if key is None:
            raise ClientError(
                "AccessDeniedException",
                "OpenTrail has no credentials for this caller at the upstream.",
                403,
            )
        request = _unsigned(call, arrival, credential, body, upstream.host)
        made = resign(request, key, self._clock.now_ms())
        forwarded = body.forwarded()
        if request.payload in (SIGNED_CHUNKS, SIGNED_TRAILER):
            forwarded = _chunks(ChunkResigner(made.chunks), forwarded)
        return Outgoing(made.target, made.headers, forwarded)


def names_of(call: Call) -> tuple[str, ...]:
    """Return by what names a caller may have a key: ARN, role's ARN, service, account."""
    who = msgspec.json.decode(bytes(call.caller.user_identity), type=_Identity)
    names = (who.arn, who.session_context.session_issuer.arn, who.invoked_by, call.caller.account)
    return tuple(filter(None, names))


def _unsigned(
    call: Call, arrival: Arrival, credential: Credential | None, body: RequestBody, host: str
) -> Unsigned:
    row = tables.services().get(call.target.service)
    signing_name = credential.signing_name if credential else row.signing_name if row else ""
    if not signing_name:
        raise ClientError("InvalidRequest", "It cannot be told for which service this call is.")
    raw = end_to_end(arrival.raw_headers, NOT_FORWARDED)
    names = [name.decode("latin-1") for name, _ in raw]
    signed = frozenset(credential.signed_headers if credential else filter(_ours, names))
    if twice := next((name for name in signed if names.count(name) > 1), ""):
        raise ClientError("InvalidRequest", f"The header '{twice[:64]}' must not stand twice.")
    return Unsigned(
        call.head,
        raw,
        signed,
        _payload(call, credential, body, signing_name),
        host,
        call.caller.region,
        signing_name,
    )


def _ours(name: str) -> bool:
    return name.startswith("x-amz-") or name == "content-type"


def _payload(
    call: Call, credential: Credential | None, body: RequestBody, signing_name: str
) -> str:
    """Return what is signed of the body: never more than the client has proven.

    Raises: ClientError: it is too long to be hashed, and says no hash itself.
    """
    declared = call.head.headers.get("x-amz-content-sha256", "")
    is_s3 = signing_name.startswith("s3")
    if credential is not None and credential.presigned and is_s3:
        return UNSIGNED
    payload = declared if credential is not None else ""
    payload = payload or body.sha256() or (UNSIGNED if is_s3 else "")
    if not payload:
        raise ClientError(
            "RequestEntityTooLarge",
            "A body this long must say its SHA-256 in 'X-Amz-Content-Sha256'.",
            413,
        )
    return payload


def _chunks(resigner: ChunkResigner, body: Body) -> Body:
    if body is None or isinstance(body, bytes):
        try:
            return resigner.feed(body or b"")
        except ValueError:
            raise ClientError(
                "InvalidChunkSizeError", "A chunk is too large to be signed anew."
            ) from None
    return _streamed(resigner, body)


async def _streamed(resigner: ChunkResigner, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in body:
        try:
            signed = resigner.feed(piece)
        except ValueError:
            raise WrongBody from None
        if signed:
            yield signed
