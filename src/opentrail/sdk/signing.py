# SPDX-License-Identifier: Apache-2.0
"""Sign a request to the intake: AWS Signature Version 4 with the standard library.

Source: IAM User Guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from opentrail.sdk.system import amz_date

SERVICE = "opentrail"
"""The service in the credential's scope."""
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose requests they are."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def signed_headers(
    credentials: Credentials, region: str, host: str, path: str, body: bytes, now_s: float
) -> dict[str, str]:
    """Return the headers of a POST of ``body`` to ``path`` (no query) of ``host``."""
    when = amz_date(now_s)
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": when}
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n{path}\n\n{lines}\n{names}\n{digest}"
    scope = f"{when[:8]}/{region}/{SERVICE}/aws4_request"
    text = f"{_ALGORITHM}\n{when}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = f"{credentials.access_key_id}/{scope}"
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return headers
