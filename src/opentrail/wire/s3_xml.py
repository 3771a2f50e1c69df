# SPDX-License-Identifier: Apache-2.0
"""S3's XML answers.

Amazon S3 API Reference: ListObjects, ListObjectsV2, GetBucketLocation, GetBucketAcl, "Error
responses".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from opentrail.clock import iso_seconds
from opentrail.objects.base import Listed

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""XML 1.0 has no form for these: who expects them asks for encoding-type=url."""


def text(value: str) -> str:
    """Return ``value`` as XML character data."""
    return escape(_NOT_XML.sub("?", value), {"\r": "&#13;"})


def element(name: str, value: str | int) -> str:
    """Return ``<name>value</name>``."""
    return f"<{name}>{text(str(value))}</{name}>"


def document(name: str, children: Iterable[str]) -> bytes:
    """Return a document whose root is ``name`` in S3's namespace."""
    return f'{_HEADER}<{name} xmlns="{NAMESPACE}">{"".join(children)}</{name}>'.encode()


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a bucket, as S3 says it."""

    id: str
    """A canonical user id: 64 hex characters."""
    name: str

    def xml(self) -> str:
        """Return the Owner element."""
        return f"<Owner>{element('ID', self.id)}{element('DisplayName', self.name)}</Owner>"


def contents(one: Listed, shown_key: str, owner: Owner | None) -> str:
    """Return the element of one object in a listing; ``shown_key`` may be URL-encoded."""
    children = (
        element("Key", shown_key),
        element("LastModified", iso_seconds(one.modified_ms).replace("Z", ".000Z")),
        element("ETag", one.etag),
        element("Size", one.size),
        owner.xml() if owner else "",
        element("StorageClass", "STANDARD"),
    )
    return f"<Contents>{''.join(children)}</Contents>"


def acl(owner: Owner) -> bytes:
    """Return the only ACL there is: the owner may do everything."""
    grantee = (
        f'<Grantee xmlns:xsi="{_INSTANCE}" xsi:type="CanonicalUser">'
        f"{element('ID', owner.id)}{element('DisplayName', owner.name)}</Grantee>"
    )
    grant = f"<Grant>{grantee}{element('Permission', 'FULL_CONTROL')}</Grant>"
    return document(
        "AccessControlPolicy", (owner.xml(), f"<AccessControlList>{grant}</AccessControlList>")
    )


def location(region: str) -> bytes:
    """Return a bucket's region as S3 says it: nothing for us-east-1."""
    return document("LocationConstraint", ("" if region == "us-east-1" else text(region),))


def error(code: str, message: str, resource: str, request_id: str) -> bytes:
    """Return an error document; it has no namespace."""
    children = (
        element("Code", code),
        element("Message", message),
        element("Resource", resource),
        element("RequestId", request_id),
    )
    return f"{_HEADER}<Error>{''.join(children)}</Error>".encode()
