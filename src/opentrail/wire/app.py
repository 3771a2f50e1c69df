# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's API, from an authenticated request to its answer.

Follows the AWS JSON 1.1 and REST-JSON protocols (Smithy 2.0 specification, 'AWS protocols') and
CloudTrail's service model; ``operations.py`` is the table of what is answered.
"""

import logging
from dataclasses import dataclass
from typing import Final

import msgspec

from opentrail.access.policy import authorize, authorize_somewhere, denies
from opentrail.access.refusals import access_denied, in_protocol
from opentrail.errors import ClientError, Corrupt, Unavailable
from opentrail.wire.operations import ANSWERED, REFUSED, WAITING
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import OPERATIONS, TARGET_PREFIX

TARGET_PREFIXES: Final = (TARGET_PREFIX, TARGET_PREFIX.rpartition(".")[2])
"""The service takes both: boto3, the AWS CLI and Terraform do not all send the same one."""

CONTENT_TYPE: Final = "application/x-amz-json-1.1"

PUT_AUDIT_EVENTS_PATH: Final = "/PutAuditEvents"
"""The one operation of ``cloudtrail-data``, which is REST-JSON: no target, a path instead."""

BODY_BYTES_MAX: Final = 1024 * 1024
"""PutAuditEvents' own bound, the largest of all operations."""

REASON_CHARS_MAX: Final = 500
"""Of what the server's own log tells: whoever does not answer may have said a lot."""

_log = logging.getLogger("opentrail.wire")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as the signature proved it (or as ``auth = "off"`` supposes it)."""

    arn: str
    account: str
    access_key_id: str
    policies: tuple[str, ...]
    """Names of built-in policies and IAM JSON documents, as ``access.policy`` reads them."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request signed for ``cloudtrail`` or ``cloudtrail-data``, authenticated already."""

    target: str
    """The X-Amz-Target header; empty when there is none."""
    content_type: str
    method: str
    path: str
    body: bytes
    principal: Principal
    account: str
    """The account that the call belongs to: the only one whose events are shown."""
    region: str
    request_id: str


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the client is sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class CloudTrailApi:
    """CloudTrail's API. Synchronous, safe from several threads, pure but for its rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer ``request``: an error is an answer too, so nothing is raised on purpose."""
        try:
            body = self._answer(request)
        except ClientError as error:
            return _error(request, error)
        except Corrupt:
            # Which file is damaged is not the client's to know: fsck tells the operator.
            message = "A stored event does not check out; run opentrail fsck on the server."
            return _error(request, ClientError("InternalFailure", message, 500))
        except Unavailable as error:
            # Who did not answer, and how, is the operator's to know, as which file is damaged.
            what = request.target.rpartition(".")[2]
            _log.warning("%.99r is answered with 503: %r", what, str(error)[:REASON_CHARS_MAX])
            message = (
                "It may or may not have happened: a disk, a bucket or another service did not answer"
                " as it must. The server's log says which. Try again."
            )
            return _error(request, ClientError("ServiceUnavailable", message, 503))
        return ApiResponse(200, _headers(request, body), body)

    def _answer(self, request: ApiRequest) -> bytes:
        """Return the body of the answer.

        1. find the operation           (an unknown one has no action to allow)
        2. ask the caller's policies    (before the body: who may do nothing learns nothing)
        3. refuse it, or read the body, ask the policies of the trail that it names, and run it
        Raises: ClientError. Corrupt.
        """
        service, operation = _operation(request)
        action = f"{service}:{operation}"
        if not authorize_somewhere(request.principal.policies, action):
            raise _denied(request, action, "*")
        if len(request.body) > BODY_BYTES_MAX:
            message = f"The request is longer than {BODY_BYTES_MAX} bytes."
            raise ClientError("RequestEntityTooLargeException", message, 413)
        refusal = REFUSED.get(operation)
        if refusal is not None:
            raise ClientError(refusal.code, refusal.message)

        def permit(resource: str) -> None:
            if not authorize(request.principal.policies, action, resource):
                raise _denied(request, action, resource)

        scope = Scope(request.account, request.region)
        return ANSWERED[operation](self._rooms, scope, request.body, permit)


def may_wait(request: ApiRequest) -> bool:
    """Return whether the answer may take as long as other servers are silent."""
    return request.target.rpartition(".")[2] in WAITING


def _denied(request: ApiRequest, action: str, resource: str) -> ClientError:
    """Return the error of a caller whose policies do not allow ``action`` on ``resource``."""
    principal = request.principal
    explicitly = denies(principal.policies, action, resource)
    error = access_denied(principal.arn, action, resource, explicitly=explicitly)
    return in_protocol(error, "json" if action.startswith("cloudtrail:") else "rest-json")


def _operation(request: ApiRequest) -> tuple[str, str]:
    """Return (service, operation).

    Raises: ClientError: the request is none that the service knows.
    """
    if request.method != "POST":
        raise _unknown("CloudTrail's API takes POST only.")
    if request.path == PUT_AUDIT_EVENTS_PATH:
        return "cloudtrail-data", "PutAuditEvents"
    if request.path != "/":
        raise _unknown("CloudTrail's API has the path / only.")
    prefix, _, operation = request.target.rpartition(".")
    if prefix not in TARGET_PREFIXES or operation not in OPERATIONS:
        raise _unknown("X-Amz-Target names no operation of CloudTrail.")
    if request.content_type.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise _unknown(f"The Content-Type of CloudTrail's API is {CONTENT_TYPE}.")
    return "cloudtrail", operation


def _unknown(message: str) -> ClientError:
    return ClientError("UnknownOperationException", message)


def _error(request: ApiRequest, error: ClientError) -> ApiResponse:
    """Return the answer that both protocols' clients read: the code in header and body."""
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    headers = [*_headers(request, body), (b"x-amzn-ErrorType", error.code.encode())]
    return ApiResponse(error.status, headers, body)


def _headers(request: ApiRequest, body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-amzn-RequestId", request.request_id.encode()),
        (b"Content-Type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
