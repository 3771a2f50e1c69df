# SPDX-License-Identifier: Apache-2.0
"""Signed requests as bytes: what a client's SDK would send, and what it never would."""

from datetime import UTC, datetime, timedelta

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support import raw_http
from support.aws_clients import Key

HOST = "127.0.0.1:4540"
JSON_KIND = ("Content-Type", "application/x-amz-json-1.1")


def signed(
    key: Key,
    service: str,
    body: bytes = b"{}",
    *,
    target: str = "",
    path: str = "/",
    method: str = "POST",
    region: str = "us-east-1",
    late: timedelta = timedelta(),
    headers: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """Return a request signed ``late`` from now, for the operation in ``target`` if it has one."""
    sent = dict([*headers, JSON_KIND, ("X-Amz-Target", target)] if target else headers)
    request = AWSRequest(method, f"http://{HOST}{path}", sent, body)
    credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token)
    auth = SigV4Auth(credentials, service, region)
    when = datetime.now(UTC) + late
    request.context["timestamp"] = when.strftime(SIGV4_TIMESTAMP)
    auth._modify_request_before_signing(request)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))
    pairs = tuple((name, str(value)) for name, value in request.headers.items())
    return raw_http.request(path, body, method=method, headers=pairs, host=HOST)


def lookup(key: Key, body: bytes = b"{}", **changes: object) -> bytes:
    """Return a signed LookupEvents request."""
    usual = {"target": "CloudTrail_20131101.LookupEvents"}
    return signed(key, "cloudtrail", body, **(usual | changes))
