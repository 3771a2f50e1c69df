# SPDX-License-Identifier: Apache-2.0
"""The table of CloudTrail's operations: each is answered by a function or openly refused.

To add one: write a typed function in ``op_*.py``, name it in scripts/generate_wire_shapes.py and
here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from opentrail.errors import ClientError
from opentrail.wire.op_lookup import lookup_events
from opentrail.wire.rooms import Rooms, Scope
from opentrail.wire.shapes import (
    DATA_OPERATIONS,
    OPERATIONS,
    LookupEventsRequest,
)

Handler = Callable[[Rooms, Scope, bytes], bytes]
"""(rooms, scope, request body) -> response body. Raises: ClientError, Corrupt."""

RequestT = TypeVar("RequestT", bound=msgspec.Struct)
ResponseT = TypeVar("ResponseT", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer of an operation that OpenTrail does not have: it never pretends."""

    code: str
    message: str


def _typed(
    shape: type[RequestT], function: Callable[[Rooms, Scope, RequestT], ResponseT]
) -> Handler:
    decoder = msgspec.json.Decoder(shape)

    def handler(rooms: Rooms, scope: Scope, body: bytes) -> bytes:
        return msgspec.json.encode(function(rooms, scope, _decode(decoder, body)))

    return handler


def _decode(decoder: msgspec.json.Decoder[RequestT], body: bytes) -> RequestT:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise ClientError("SerializationException", str(wrong)) from None
    except RecursionError:
        raise ClientError("SerializationException", "The JSON is nested too deeply.") from None


ANSWERED: Final[Mapping[str, Handler]] = {
    "LookupEvents": _typed(LookupEventsRequest, lookup_events),
}
"""Operation of ``cloudtrail`` -> what answers it."""


def _refusal(operation: str) -> Refusal:
    return Refusal(
        "UnsupportedOperationException",
        f"OpenTrail does not offer {operation} yet. It offers {', '.join(ANSWERED)}.",
    )


REFUSED: Final[Mapping[str, Refusal]] = {
    name: _refusal(name) for name in (*OPERATIONS, *DATA_OPERATIONS) if name not in ANSWERED
}
"""Operation of ``cloudtrail`` or ``cloudtrail-data`` -> the error that it gets. The model lets every
one of them answer UnsupportedOperationException, so clients know it as a type."""
