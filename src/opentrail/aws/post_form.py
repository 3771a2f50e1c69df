# SPDX-License-Identifier: Apache-2.0
"""S3's uploads from a browser's form: which object, and whose signature is under its policy.

Amazon S3 API Reference, "POST Object"; RFC 7578. The form's fields stand before its file.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from opentrail.aws.request import Credential, RequestHead, Target
from opentrail.aws.route import form_credential

POST_OBJECT = Target("s3", "s3.amazonaws.com", "PostObject", "rest-xml", known=False)
"""CloudTrail's name of it; the service models do not have it."""
FIELDS_MAX = 100
"""Fields of a form that are read: S3 itself knows some forty."""
FIELD_BYTES_MAX = 20 * 1024
"""Longest field: S3's bound on all of them together."""

_BOUNDARY = re.compile(r'multipart/form-data *;.*boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(rb'[; ]name="([^"\r\n]{1,128})"', re.IGNORECASE)
_FILE_NAME = re.compile(rb'[; ]filename="([^"\r\n]{0,1024})"', re.IGNORECASE)
_BUCKET = re.compile(r"/[^/]+/?\Z")
_FILE = "file"
_FORM = "multipart/form-data"


class PostObject(NamedTuple):
    """One upload."""

    head: RequestHead
    """As that of a PutObject would be: the object in its path, the fields that S3 reads as headers."""
    credential: Credential | None
    """Whose policy it is, unverified; None: it names nobody."""


def post_object(head: RequestHead, body: bytes) -> PostObject | None:
    """Return what is uploaded; None when the request is no such form. Never raises.

    ``head`` is as ``aws.address`` leaves it, ``body`` what was kept of the body. A form without a
    policy may be anybody's, and one with a field twice can be read in two ways: they are none.
    """
    found = _BOUNDARY.match(head.headers.get("content-type", ""))
    if found is None or head.method != "POST" or _BUCKET.match(head.path) is None:
        return None
    fields: dict[str, str] = {}
    for name, value in _fields(body, found[1].encode("latin-1", "replace")):
        if name in fields:
            return None
        fields[name] = value
    key = fields.get("key", "").replace("${filename}", fields.get(_FILE, "${filename}"))
    if not key or "policy" not in fields:
        return None
    headers = {name: value for name, value in fields.items() if name.startswith("x-amz-")}
    path = f"{head.path.rstrip('/')}/{quote(key, safe='/-_.~')}"
    changed = msgspec.structs.replace(head, path=path, headers={**headers, **head.headers})
    return PostObject(changed, form_credential(fields))


def is_form(head: RequestHead) -> bool:
    """Return whether a request is a form, as S3 takes them at a bucket's path, whatever is in it."""
    kind = head.headers.get("content-type", "")
    return (
        kind[: len(_FORM)].lower() == _FORM
        and head.method == "POST"
        and (_BUCKET.match(head.path) is not None)
    )


def _fields(body: bytes, boundary: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields, names in lower case, up to the file; of that, its name."""
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary, FIELDS_MAX + 1)
    for part in parts[1 : FIELDS_MAX + 1]:
        head, _, value = part.partition(b"\r\n\r\n")
        found = _NAME.search(head)
        if found is None or (len(value) > FIELD_BYTES_MAX and found[1].lower() != b"file"):
            return
        name = found[1].decode("utf-8", "replace").lower()
        if name == _FILE:
            file_name = _FILE_NAME.search(head)
            path = file_name[1].decode("utf-8", "replace") if file_name else ""
            yield name, re.split(r"[/\\]", path)[-1]
            return
        yield name, value.decode("utf-8", "replace")
