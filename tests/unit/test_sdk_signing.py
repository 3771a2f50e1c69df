# SPDX-License-Identifier: Apache-2.0
"""The SDK's signatures are those of botocore, and the server takes them."""

import hashlib
from datetime import UTC, datetime

import pytest
from support.signed_requests import KEY_ID, SECRET

from opentrail.access.authenticate import authenticate
from opentrail.access.key_table import KeyTable
from opentrail.access.keys import AccessKey, IdentityType
from opentrail.aws.request import RequestHead
from opentrail.aws.route import parse_credential
from opentrail.sdk.signing import Credentials, signed_headers

NOW_S = datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp()
BODY = '{"ä":1}'.encode()


@pytest.mark.parametrize("token", ["", "a-session-token"])
def test_the_server_takes_it(token):
    headers = signed_headers(
        Credentials(KEY_ID, SECRET, token), "us-east-1", "127.0.0.1:4540", "/a/b", BODY, NOW_S
    )
    head = RequestHead("POST", "/a/b", "", headers)
    key = AccessKey(KEY_ID, SECRET, IdentityType.ROOT, "123456789012", session_token=token)
    digest = hashlib.sha256(BODY).hexdigest()
    keys = KeyTable([key])
    assert authenticate(head, parse_credential(head), digest, keys, int(NOW_S) * 1000) is key
    assert SECRET not in repr(Credentials(KEY_ID, SECRET, token))
