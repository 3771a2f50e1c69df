# SPDX-License-Identifier: Apache-2.0
"""Which records of an import the log has, and whose they are: asked by front, answered over the link."""

import msgspec

from opentrail.errors import Corrupt
from opentrail.history.derive import derive
from opentrail.history.index import History
from opentrail.wire.app import ApiResponse


class Known(msgspec.Struct, frozen=True):
    """What is known of records, by their numbers."""

    accounts: list[str | None]
    """Of each record the account; "" when it does not say; None: it is no event."""
    duplicates: list[int]
    """Those that the log has, byte for byte, or that come twice."""


_records = msgspec.msgpack.Decoder(list[bytes]).decode
_encode = msgspec.msgpack.Encoder().encode
_DAMAGED = b"A stored record does not check out; run opentrail fsck on the server."


class KnownDoor:
    """Answers these questions."""

    def __init__(self, history: History) -> None:
        self._history = history

    def handle(self, payload: bytes) -> ApiResponse:
        """Return what is known of the records in ``payload``. Raises: nothing of the log's."""
        records = _records(payload)
        found = [derive(data) for data in records]
        accounts = [None if each is None else each.account for each in found]
        events = [number for number, each in enumerate(found) if each is not None]
        try:
            there = self._history.has([records[number] for number in events])
        except Corrupt:
            return ApiResponse(500, [], _DAMAGED)
        return ApiResponse(200, [], _encode(Known(accounts, sorted(events[i] for i in there))))
