# SPDX-License-Identifier: Apache-2.0
"""What the body of a service's call or answer says: JSON or a form, as its framework reads it. Pure."""

import json
import math
import zlib
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from opentrail.sdk.record import UNWRITABLE, omitted

BODY_BYTES_MAX = 64 * 1024
"""Of a request's or an answer's body: a longer one gives way to a marker."""
QUERY_FIELDS_MAX = 200
"""Parameters of a query or a form: no one fills in more."""

_GZIP = 31
"""zlib's window bits for the largest window with a gzip header."""
_decode = msgspec.json.Decoder().decode


class Body(msgspec.Struct, gc=False):
    """The bytes of a body, as far as they are kept."""

    kind: str
    """The Content-Type."""
    bytes_max: int
    coding: str = ""
    """The Content-Encoding: middleware further in may have gzipped an answer."""
    pieces: list[bytes] = []
    size: int = 0
    omitted: bool = False
    """Whether ``value`` returned a marker."""

    @property
    def kept(self) -> int:
        """How many bytes are kept."""
        return self.size if self.size <= self.bytes_max else 0

    def feed(self, piece: bytes) -> None:
        """Take a piece."""
        self.size += len(piece)
        if self.size <= self.bytes_max:
            self.pieces.append(piece)
        else:
            self.pieces.clear()

    def value(self, name: str) -> object:
        """Return what the body says, None when it is empty, or the marker of ``name``."""
        if not self.size:
            return None
        data = self._whole()
        if data is None:
            self.omitted = True
            return omitted(name, self.size)
        kind = self.kind.lower()
        try:
            if "json" in kind:
                return _json_of(data)
            if kind.startswith("application/x-www-form-urlencoded"):
                return pairs(data.decode())
        except UNWRITABLE:
            pass
        self.omitted = True
        return omitted(name, self.size, "not JSON")

    def _whole(self) -> bytes | None:
        """Return all that the body says, None when that is too long."""
        if self.size > self.bytes_max:
            return None
        data = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
        return _gunzipped(data, self.bytes_max) if self.coding else data


def _gunzipped(data: bytes, bytes_max: int) -> bytes | None:
    """Return what was gzipped, None when it is too long; what is not gzip as it is."""
    inflate = zlib.decompressobj(_GZIP)
    try:
        found = inflate.decompress(data, bytes_max)
    except zlib.error:
        return data
    return found if inflate.eof else None


def _json_of(data: bytes) -> object:
    """Return the value of a JSON text, also of one that only Python's own reader takes.

    The frameworks read with that: a number out of range or half of a character must not hide what
    else a call said. Raises: UNWRITABLE.
    """
    try:
        return _decode(data)
    except UNWRITABLE:
        value = json.loads(data, parse_constant=str, parse_float=_float)
        return _decode(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _float(digits: str) -> float | str:
    """Return a number, or its digits where it is too large for one."""
    value = float(digits)
    return value if math.isfinite(value) else digits


def pairs(query: str) -> dict[str, Any]:
    """Return the fields of a query or a form; one that repeats is a list."""
    if query.count("&") >= QUERY_FIELDS_MAX:
        return {"query": omitted("query", len(query))}
    found: dict[str, Any] = {}
    coded = "%" in query or "+" in query
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if coded:
            name, value = unquote_plus(name), unquote_plus(value)
        if not pair:
            continue
        known = found.get(name)
        if known is None:
            found[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            found[name] = [known, value]
    return found
