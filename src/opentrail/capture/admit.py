# SPDX-License-Identifier: Apache-2.0
"""May a call pass, and is its signature proven? Decided before anything is forwarded."""

import msgspec

from opentrail.access import refusals
from opentrail.access.authenticate import authenticate
from opentrail.access.key_table import KeyTable
from opentrail.access.sigv4 import needs_body_hash
from opentrail.aws.request import Credential, RequestHead
from opentrail.capture.arrival import RequestBody
from opentrail.capture.call import BODY_KEPT_MAX
from opentrail.capture.upstream import INSTANCE_HEADER
from opentrail.errors import ClientError

REQUEST_BYTES_MAX = 256 * 1024
"""Longest request that OpenTrail's own API takes: no operation that is offered needs more."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """What admission looks at."""

    head: RequestHead
    credential: Credential | None
    body: RequestBody
    protocol: str
    own: bool
    """Whether OpenTrail itself is the service that is called."""
    reads_bucket: bool
    """Whether it is S3's call for a bucket that OpenTrail keeps."""
    repeated: str = ""
    """A header that decides what the call is and stands more than once."""


class Admission:
    """The rules that a call must pass, and the proof of who signed it."""

    def __init__(
        self, keys: KeyTable, *, verify_calls: bool, verify_own: bool, instance: str
    ) -> None:
        """``verify_calls``: calls to upstreams need a good signature too, not only our own API."""
        self._keys = keys
        self._verify_calls = verify_calls
        self._verify_own = verify_own
        self._instance = instance

    def check(self, request: Request, now_ms: int) -> tuple[bool, ClientError | None]:
        """Return whether the signature is proven, and why the call must be refused, if it must."""
        fault = self._fault(request)
        if fault is not None:
            return False, fault
        required = self._verify_own if request.own or request.reads_bucket else self._verify_calls
        try:
            self._prove(request, now_ms, required=required)
        except ClientError as error:
            return False, refusals.in_protocol(error, request.protocol) if required else None
        return True, None

    def _fault(self, request: Request) -> ClientError | None:
        """Return what is wrong with the request, whoever made it."""
        if not request.head.path.startswith("/"):
            # Put behind the upstream's address, "*@elsewhere" would lead elsewhere.
            return ClientError("InvalidURI", "The request target must begin with a slash.")
        if request.repeated:
            return ClientError(
                "InvalidRequest", f"The header '{request.repeated}' must not stand twice."
            )
        if self._instance in request.head.headers.get(INSTANCE_HEADER, "").split(","):
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
        head, credential, body = request.head, request.credential, request.body
        digest = declared = ""
        if credential is not None and needs_body_hash(head, credential):
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
        authenticate(head, credential, digest, self._keys, now_ms)
        if declared and required:
            body.expect_sha256(declared)


def _too_long() -> ClientError:
    return ClientError(
        "RequestEntityTooLargeException",
        f"The request is longer than {REQUEST_BYTES_MAX} bytes.",
        413,
    )


def wrong_body() -> ClientError:
    """Return the error of a body that is not the one whose hash was signed, in S3's words."""
    return ClientError(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
