# SPDX-License-Identifier: Apache-2.0
"""Tell which known key made a request, or refuse it."""

import hmac
import re

from opentrail.access import refusals, sigv4
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.aws.request import Credential, RequestHead
from opentrail.errors import ClientError

_ASYMMETRIC = "AWS4-ECDSA-P256-SHA256"
_ASYMMETRIC_QUERY = f"X-Amz-Algorithm={_ASYMMETRIC}"


def _however_encoded(name: str) -> str:
    return "".join(f"(?:{re.escape(letter)}|(?i:%{ord(letter):02x}))" for letter in name)


_CLAIM = re.compile(
    rf"(?:\A|&)(?:{_however_encoded('X-Amz-Credential')}|{_however_encoded('AWSAccessKeyId')})(?==|&|\Z)"
)
"""A parameter of a query that says whose key signed."""


def authenticate(
    head: RequestHead,
    credential: Credential | None,
    payload_sha256: str,
    keys: KeyTable,
    now_ms: int,
) -> AccessKey:
    """Return the key that signed this request, its signature checked.

    ``payload_sha256`` and ``now_ms`` are as in ``sigv4.verify``. Raises ClientError with the codes
    of the JSON protocols (``refusals.in_protocol`` translates): no signature, unknown key or
    session token, session over, signature not good.
    """
    if credential is None:
        raise _no_credential(head)
    if is_asymmetric(head):
        raise _asymmetric()
    key = keys.find(credential.access_key_id)
    if key is None or not key.secret_access_key:
        raise refusals.unknown_key()
    if not _same(key.session_token, credential.session_token):
        raise refusals.unknown_key()
    # First the signature: that a session is over is told only to whoever holds its secret.
    sigv4.verify(head, credential, payload_sha256, key.secret_access_key, now_ms)
    if key.expired(now_ms):
        raise refusals.expired_token()
    return key


def claims_twice(head: RequestHead) -> bool:
    """Return whether a request names more than one key: in a header and its query, or twice in that.

    Servers differ in which they check, so that one good signature could stand for the other's key.
    S3 itself refuses such requests.
    """
    if not head.query:
        return False  # that a header stands twice is looked at elsewhere
    in_query = len(_CLAIM.findall(head.query))
    return in_query + head.headers.get("authorization", "").startswith("AWS") > 1


def is_asymmetric(head: RequestHead) -> bool:
    """Return whether a request is signed with Signature Version 4A."""
    header = head.headers.get("authorization", "").startswith(_ASYMMETRIC)
    return header or _ASYMMETRIC_QUERY in head.query


def _asymmetric() -> ClientError:
    return refusals.bad_signature(
        f"Signature Version 4A ({_ASYMMETRIC}) cannot be checked here: sign with AWS4-HMAC-SHA256."
    )


def _no_credential(head: RequestHead) -> ClientError:
    if head.headers.get("authorization"):
        return refusals.incomplete(
            "Authorization header must be an AWS4-HMAC-SHA256 signature with 'Credential',"
            " 'SignedHeaders' and 'Signature' parameters."
        )
    return refusals.missing_token()


def _same(one: str, other: str) -> bool:
    if not (one or other):
        return True  # a long-term key has no token: there is no secret whose length could show
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
