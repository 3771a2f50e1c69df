# SPDX-License-Identifier: Apache-2.0
"""Values that the wire carries as text (paths, queries, headers, forms, XML) in JSON types."""

import re

from opentrail.aws import jsonbody
from opentrail.aws.tables import Kind

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?\Z")
_BOOLEANS = {"true": True, "false": False}


def from_text(kind: Kind, text: str) -> object:
    """Return ``text`` as the JSON type of ``kind``; what is not of that type stays text.

    Timestamps and blobs stay as they were sent.
    """
    if kind in {"integer", "long"} and _INTEGER.match(text):
        return int(text)
    if kind in {"float", "double"} and _DECIMAL.match(text):
        return int(text) if _INTEGER.match(text) else jsonbody.number(text)
    if kind == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    return text


def of_header(value: str) -> str:
    """Return a header's value, which came byte by byte, as the text that it was meant to be.

    That is UTF-8; what is none is Latin-1, as Python's clients send it. The fields of a form, which
    stand for headers, are text already.
    """
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
