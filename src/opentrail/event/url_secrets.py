# SPDX-License-Identifier: Apache-2.0
"""URLs in a record that let in whoever has them; they may stand in any member. Pure.

Presigned ones, in a template's address for example, or a model's artefact's; and those with a password or
token before the host, by which a git repository is often named. Source: IAM User Guide, "Signature Version
4 request elements"; S3 User Guide, "Sharing objects with presigned URLs"; CloudFront Developer Guide, "Use signed
URLs"; Google Cloud Storage, "Signed URLs"; RFC 3986, 3.2.1.
"""

import re

from opentrail.event.record import HIDDEN

_VALUE = rb"""((?:(?!%26)[^&"\\\s])+)"""
_SIGV4_URL = re.compile(
    rb"([Xx]-(?:[Aa]mz|[Gg]oog)-(?:[Ss]ignature|[Ss]ecurity-[Tt]oken)(?:=|%3[Dd]))" + _VALUE
)
_SIGV2_URL = re.compile(rb"((?:[?&]|%26|%3[Ff])[Ss]ignature(?:=|%3[Dd]))" + _VALUE)
"""What signs a presigned URL, in JSON; also where that URL is part of another one."""

_KEYS = (b"AWSAccessKeyId", b"Key-Pair-Id", b"GoogleAccessId")
"""One of these names the key beside such a signature: S3's, CloudFront's or Google's."""

_SIGN_IN = re.compile(rb"""([Hh][Tt][Tt][Pp][Ss]?://)[^/?#"\\\s]*@""")
"""Name and password, or a token alone, up to the last "@" before the path."""

_EQUALS, _PERCENT, _AT = b"=%@"


def without_url_secrets(data: bytes) -> bytes:
    """Return a record's JSON without what in its URLs lets somebody in."""
    if _AT in data and b"://" in data:
        data = _SIGN_IN.sub(rb"\1" + HIDDEN.encode() + b"@", data)
    return _without_signatures(data)


def _without_signatures(data: bytes) -> bytes:
    if _EQUALS not in data and _PERCENT not in data:
        return data  # as most records: one byte is found ten times as fast as a word
    if b"ignature=" not in data and b"ignature%3" not in data:
        return data  # one of these is in every such URL
    hidden = rb"\1" + HIDDEN.encode()
    data = _SIGV4_URL.sub(hidden, data)
    return _SIGV2_URL.sub(hidden, data) if any(key in data for key in _KEYS) else data
