# SPDX-License-Identifier: Apache-2.0
"""May a call pass, and is its signature proven? Decided before anything is forwarded."""

import msgspec

from opentrail.access import refusals, sigv4
from opentrail.access.authenticate import authenticate, claims_twice
from opentrail.access.chunks import SIGNED_CHUNKS, SIGNED_TRAILER
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.aws.address import TWO_KEYS
from opentrail.aws.request import Credential
from opentrail.capture.arrival import Arrival, BodyCheck, RequestBody, Sha256Check
from opentrail.capture.upstream import INSTANCE_HEADER
from opentrail.capture.vouched import Vouched
from opentrail.errors import ClientError
from opentrail.event.caps import BODY_KEPT_MAX

REQUEST_BYTES_MAX = BODY_KEPT_MAX
"""Longest request that OpenTrail's own API takes, all of it kept: no operation that is offered needs more."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """What admission looks at."""

    arrival: Arrival
    credential: Credential | None
    body: RequestBody
    protocol: str
    own: bool
    """Whether OpenTrail itself is the service that is called."""
    reads_bucket: bool
    """Whether it is S3's call for a bucket that OpenTrail keeps."""


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """What admission found."""

    verified: bool = False
    """Whether it is proven who calls."""
    refusal: ClientError | None = None
    """Why the call must be refused; None: it passes."""
    vouched: AccessKey | None = None
    """Who calls without an AWS credential, proven by other means."""
    from_console: bool = False
    """Whether a trusted proxy says that the credentials are a console's."""


class Admission:
    """The rules that a call must pass, and the proof of who signed it."""

    def __init__(
        self,
        keys: KeyTable,
        vouched: Vouched,
        *,
        verify_calls: bool,
        verify_own: bool,
        instance: str,
    ) -> None:
        """``verify_calls``: calls to upstreams need a good signature too, not only our own API."""
        self._keys = keys
        self._vouched = vouched
        self._verify_calls = verify_calls
        self._verify_own = verify_own
        self._instance = instance

    def check(self, request: Request, now_ms: int) -> Admitted:
        """Return whether it is proven who calls, and why the call must be refused, if it must."""
        fault = self._fault(request)
        if fault is not None:
            return Admitted(refusal=fault)
        ours = request.own or request.reads_bucket
        required = self._verify_own if ours else self._verify_calls
        try:
            if request.credential is None and not ours:
                who = self._vouched.identity(request.arrival, now_ms)
                if who is not None:
                    return Admitted(verified=True, vouched=who, from_console=who.from_console)
            self._prove(request, now_ms, required=required)
            return Admitted(verified=True, from_console=self._vouched.from_console(request.arrival))
        except ClientError as error:
            if required or error.code == "InvalidRequest":
                return Admitted(refusal=refusals.in_protocol(error, request.protocol))
            return Admitted()

    def _fault(self, request: Request) -> ClientError | None:
        """Return what is wrong with the request, whoever made it."""
        if not request.arrival.head.path.startswith("/"):
            # Put behind the upstream's address, "*@elsewhere" would lead elsewhere.
            return ClientError("InvalidURI", "The request target must begin with a slash.")
        ambiguous = _ambiguous(request)
        if ambiguous:
            return ClientError("InvalidRequest", ambiguous)
        headers = request.arrival.head.headers
        if INSTANCE_HEADER in headers and self._instance in headers[INSTANCE_HEADER].split(","):
            return ClientError(
                "LoopDetectedException",
                "This request was forwarded by this OpenTrail to itself: its upstream must be"
                " another address.",
                508,
            )
        if request.own and not (request.body.done and request.body.size <= REQUEST_BYTES_MAX):
            return _too_long()
        return None

    def _prove(self, request: Request, now_ms: int, *, required: bool) -> None:
        """Check the signature; of a body that is still streaming, what it declares of itself."""
        head, credential, body = request.arrival.head, request.credential, request.body
        digest = declared = ""
        if credential is not None and sigv4.needs_body_hash(head, credential):
            digest = body.sha256()
            if not digest:
                digest = declared = head.headers.get("x-amz-content-sha256", "")
            if not digest:
                raise refusals.bad_signature(
                    f"A body longer than {BODY_KEPT_MAX} bytes can be checked only when"
                    " 'X-Amz-Content-Sha256' says its hash."
                )
        elif credential is not None and request.own:
            raise refusals.bad_signature("The signature must cover the body: send its SHA-256.")
        key = authenticate(head, credential, digest, self._keys, now_ms)
        if credential is None or not required:
            return
        check: BodyCheck | None = Sha256Check(declared) if declared else None
        check = check or sigv4.chunk_check(head, credential, key.secret_access_key)
        if check is not None and not body.expect(check):
            raise refusals.mismatch()


def _ambiguous(request: Request) -> str:
    """Return why servers may differ in whose call it is, or which; "" when they cannot."""
    if request.arrival.repeated:
        return f"The header '{request.arrival.repeated}' must not stand twice."
    return TWO_KEYS if claims_twice(request.arrival.head) else ""


def _too_long() -> ClientError:
    return ClientError(
        "RequestEntityTooLargeException",
        f"The request is longer than {REQUEST_BYTES_MAX} bytes.",
        413,
    )


def wrong_body(declared: str) -> ClientError:
    """Return the error of a body that is not the one that was signed, in S3's words.

    ``declared``: what x-amz-content-sha256 says of it.
    """
    if declared in (SIGNED_CHUNKS, SIGNED_TRAILER):
        return refusals.in_protocol(refusals.mismatch(), "rest-xml")
    return ClientError(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
