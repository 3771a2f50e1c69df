# SPDX-License-Identifier: Apache-2.0
"""Signed requests as bytes: what a client's SDK would send, and what it never would."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from support import raw_http
from support.aws_clients import Key

HOST = "127.0.0.1:4540"
JSON_KIND = ("Content-Type", "application/x-amz-json-1.1")
NO_DELAY = timedelta()


@dataclass(frozen=True)
class Signer:
    """Who signs, for which service and region, and how far off the signer's clock is."""

    key: Key
    service: str
    region: str = "us-east-1"
    late: timedelta = NO_DELAY

    def sign(
        self,
        body: bytes = b"{}",
        *,
        target: str = "",
        path: str = "/",
        method: str = "POST",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> bytes:
        """Return the request, for the operation in ``target`` if it has one."""
        named = (*headers, JSON_KIND, ("X-Amz-Target", target)) if target else headers
        request = AWSRequest(method, f"http://{HOST}{path}", dict(named), body)
        key = self.key
        auth = SigV4Auth(
            Credentials(key.access_key_id, key.secret_access_key), self.service, self.region
        )
        when = (datetime.now(UTC) + self.late).strftime(SIGV4_TIMESTAMP)
        request.context["timestamp"] = request.headers["X-Amz-Date"] = when
        if key.session_token:
            request.headers["X-Amz-Security-Token"] = key.session_token
        text = auth.string_to_sign(request, auth.canonical_request(request))
        signed_headers = auth.signed_headers(auth.headers_to_sign(request))
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed_headers},"
            f" Signature={auth.signature(text, request)}"
        )
        pairs = tuple((name, str(value)) for name, value in request.headers.items())
        return raw_http.request(path, body, method=method, headers=pairs, host=HOST)


def lookup(key: Key, body: bytes = b"{}", late: timedelta = NO_DELAY) -> bytes:
    """Return a signed LookupEvents request."""
    signer = Signer(key, "cloudtrail", late=late)
    return signer.sign(body, target="CloudTrail_20131101.LookupEvents")
