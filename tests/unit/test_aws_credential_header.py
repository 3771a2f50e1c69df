# SPDX-License-Identifier: Apache-2.0
"""The Authorization header is read the same by the short way and by the long one."""

from hypothesis import given
from hypothesis import strategies as st

from opentrail.aws.request import RequestHead
from opentrail.aws.route import parse_credential

SCOPE = "Credential=AKID/20260101/us-east-1/s3/aws4_request"
PARTS = st.sampled_from(
    [
        *(SCOPE, "SignedHeaders=host;x-amz-date", "Signature=aa", "Signature=bb", "Signature="),
        *("XSignature=cc", "Signature= dd ", "Signature=eSignature=f", "Signature", "", "x=y"),
    ]
)


def plainly(parameters: str) -> tuple[str, tuple[str, ...]] | None:
    """Return signature and signed headers; of a header with one of them twice, nothing."""
    pairs = [part.strip().partition("=")[::2] for part in parameters.split(",")]
    names = [name for name, _ in pairs]
    parts = dict(pairs)
    twice = any(names.count(name) > 1 for name in ("Credential", "SignedHeaders", "Signature"))
    if twice or not parts.get("Credential"):
        return None
    signed = tuple(filter(None, parts.get("SignedHeaders", "").split(";")))
    return parts.get("Signature", ""), signed


def read(parameters: str) -> tuple[str, tuple[str, ...]] | None:
    head = RequestHead("GET", "/", "", {"authorization": f"AWS4-HMAC-SHA256 {parameters}"})
    found = parse_credential(head)
    return None if found is None else (found.signature, found.signed_headers)


@given(st.lists(PARTS, max_size=6), st.sampled_from([",", ", ", " , "]))
def test_it_is_read_in_the_obvious_way(parts: list[str], comma: str) -> None:
    parameters = comma.join(parts)
    wanted = plainly(parameters)
    assert [read(parameters), read(parameters)] == [wanted, wanted]
