# SPDX-License-Identifier: Apache-2.0
"""Requests signed by botocore, the oracle of the signature checks."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opentrail.aws.request import Credential, RequestHead
from opentrail.aws.route import parse_credential

KEY_ID = "AKIAQAAAAAAAAAAAAAAA"
SECRET = "not-a-real-secret/used-only-by-tests+0000"


@dataclass(frozen=True)
class Signed:
    """What a server receives, and when it was signed."""

    head: RequestHead
    body: bytes
    signed_ms: int

    @property
    def credential(self) -> Credential:
        credential = parse_credential(self.head)
        assert credential is not None
        return credential

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Signer:
    """A client: its key and what it signs for."""

    service: str = "sagemaker"
    region: str = "us-east-1"
    key_id: str = KEY_ID
    secret: str = SECRET
    token: str | None = None
    presigned_s: int = 0

    def sign(
        self,
        method: str = "POST",
        url: str = "http://127.0.0.1:4540/",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        params: dict[str, str] | None = None,
    ) -> Signed:
        """Sign with botocore, and return the request as the wire carries it."""
        request = AWSRequest(method, url, headers or {}, body, params=params or {})
        self._auth().add_auth(request)
        sent = request.prepare()
        parts = urlsplit(sent.url)
        wire_headers = {name.lower(): _text(value) for name, value in sent.headers.items()}
        wire_headers.setdefault("host", parts.netloc)
        head = RequestHead(method, parts.path or "/", parts.query, wire_headers)
        when = datetime.strptime(request.context["timestamp"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        return Signed(head, body, int(when.timestamp()) * 1000)

    def _auth(self):
        credentials = Credentials(self.key_id, self.secret, self.token)
        plain, query = (
            (S3SigV4Auth, S3SigV4QueryAuth) if self.service == "s3" else (SigV4Auth, SigV4QueryAuth)
        )
        if self.presigned_s:
            return query(credentials, self.service, self.region, expires=self.presigned_s)
        return plain(credentials, self.service, self.region)


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
