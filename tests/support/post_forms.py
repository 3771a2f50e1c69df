# SPDX-License-Identifier: Apache-2.0
"""Uploads as a browser's form makes them (RFC 7578)."""

from collections.abc import Iterable, Mapping
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

BOUNDARY = "xYzBoundary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def form(fields: Iterable[tuple[str, str]], data: bytes, file_name: str = "a.txt") -> bytes:
    """Return the body: the fields, then a file."""
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in fields]
    parts.append(f'name="file"; filename="{file_name}"\r\nContent-Type: text/plain\r\n\r\n')
    text = f"\r\n--{BOUNDARY}\r\n".join(f"Content-Disposition: form-data; {part}" for part in parts)
    return f"--{BOUNDARY}\r\n{text}".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def post_form(url: str, fields: Mapping[str, str], data: bytes) -> int:
    """Upload, and return the status."""
    request = Request(url, form(fields.items(), data), {"content-type": KIND})
    try:
        with build_opener(ProxyHandler({})).open(request) as answer:
            status: int = answer.status
            return status
    except HTTPError as error:
        with error:
            return error.code
