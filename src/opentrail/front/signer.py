# SPDX-License-Identifier: Apache-2.0
"""Who signed a request to OpenTrail's own signed endpoints: the intake and the search."""

import hashlib

from opentrail.access import refusals
from opentrail.access.authenticate import authenticate
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey
from opentrail.access.sigv4 import needs_body_hash
from opentrail.aws.request import RequestHead
from opentrail.aws.route import parse_credential
from opentrail.errors import ClientError

SIGNING_NAME = "opentrail"
"""The service that requests are signed for."""


def signer(head: RequestHead, repeated: str, body: bytes, keys: KeyTable, now_ms: int) -> AccessKey:
    """Return the key that signed the request, body and all.

    ``repeated`` is a decisive header that stands twice, if one does. Raises: ClientError.
    """
    try:
        if repeated:
            raise refusals.incomplete(f"The header '{repeated}' must not stand twice.")
        credential = parse_credential(head)
        if credential is not None and credential.signing_name != SIGNING_NAME:
            raise refusals.bad_signature(
                f"Credential should be scoped to correct service: '{SIGNING_NAME}'."
            )
        if credential is not None and not needs_body_hash(head, credential):
            raise refusals.bad_signature("The signature must cover the body.")
        digest = hashlib.sha256(body).hexdigest()
        return authenticate(head, credential, digest, keys, now_ms)
    except ClientError as error:
        raise refusals.in_protocol(error, "rest-json") from None
