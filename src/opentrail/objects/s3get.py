# SPDX-License-Identifier: Apache-2.0
"""GetObject many times over, by little more than a signed request on a kept connection.

botocore takes some two milliseconds of a core for a call; who reads ten thousand small objects waits
for that and not for the bucket. What is not answered with 200 is left to botocore, which knows
redirects, retries and errors. Amazon S3 API Reference, "GetObject".
"""

import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from opentrail.objects.names import OBJECT_BYTES_MAX

TIMEOUT_S = 30.0
"""A silence after which botocore is asked, which has its own patience."""
MISSES_MAX = 5
"""In a row: then it is not that objects are missing; another way must be taken to this endpoint."""
_OK = 200
_META = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class Where:
    """An S3 endpoint and who asks it."""

    endpoint: str
    """URL."""
    region: str
    credentials: ReadOnlyCredentials
    """As they are now: when they have run out, botocore gets new ones for itself."""
    ca: str = ""
    """A file with the certificates that it is trusted by; "": the usual ones."""


class S3Get:
    """Reads objects of one bucket, path-style. Safe from several threads."""

    def __init__(self, where: Where, bucket: str) -> None:
        self._where = where
        self._bucket = bucket
        self._signer = S3SigV4Auth(where.credentials, "s3", where.region)
        self._mine = threading.local()
        self._misses = 0

    def get(self, key: str) -> tuple[Mapping[str, str], bytes] | None:
        """Return an object's metadata and bytes; None: ask botocore."""
        if self._misses >= MISSES_MAX:
            return None
        try:
            found = self._ask(key)
        except (OSError, http.client.HTTPException, UnicodeEncodeError):
            self.close()
            found = None
        self._misses = 0 if found is not None else self._misses + 1
        return found

    def _ask(self, key: str) -> tuple[Mapping[str, str], bytes] | None:
        path = f"{urlsplit(self._where.endpoint).path.rstrip('/')}/{self._bucket}/{quote(key)}"
        root = self._where.endpoint.split("://", 1)
        host = root[1].split("/", 1)[0]
        request = AWSRequest("GET", f"{root[0]}://{host}{path}")
        self._signer.add_auth(request)
        connection = self._connection(root[0], host)
        connection.request("GET", path, headers=dict(request.headers.items()))
        answer = connection.getresponse()
        if answer.status != _OK or (answer.length or 0) > OBJECT_BYTES_MAX:
            self.close()
            return None
        data = answer.read(OBJECT_BYTES_MAX + 1)
        if answer.length or len(data) > OBJECT_BYTES_MAX:
            self.close()
            return None
        names = ((name.lower(), value) for name, value in answer.getheaders())
        return {n.removeprefix(_META): v for n, v in names if n.startswith(_META)}, data

    def _connection(self, scheme: str, host: str) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            if scheme == "https":
                trusted = ssl.create_default_context(cafile=self._where.ca or None)
                connection = http.client.HTTPSConnection(host, timeout=TIMEOUT_S, context=trusted)
            else:
                connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
            self._mine.connection = connection
        return connection

    def close(self) -> None:
        """Let go of the calling thread's connection; the next ``get`` makes another."""
        connection: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is not None:
            connection.close()
            self._mine.connection = None
