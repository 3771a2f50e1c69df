# SPDX-License-Identifier: Apache-2.0
"""Who sent records to us: an event of our own for each sender, once a minute while it sends. Pure.

One for each request would double the log of whoever sends records one by one. A sender's first
records have the event in the same append, so that the log never has records of a sender whom it
does not name; those of the minute that follows are counted, and the next event tells of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from opentrail.access.keys import AccessKey
from opentrail.capture.user_identity import encode_identity
from opentrail.clock import Ids, iso_seconds, uuid4_text
from opentrail.event import codec
from opentrail.eventlog.base import Draft, Origin

EVENT_NAME = "PutRecords"
"""As the action that allows it is called."""
TOLD_EVERY_MS = 60_000
"""A sender's events are that far apart: 1,440 a day, beside the millions that it may send."""
SENDERS_MAX = 4096
"""Senders with counts that are yet to be told. One that is one too many has an event for each
request, as if each minute were its first."""
USER_AGENT_CHARS_MAX = 256
"""Of a sender's: it is told once, whatever a hostile one says of itself."""
_SOURCE = "cloudtrail.amazonaws.com"
_VERSION = "1.08"
_UNKNOWN = msgspec.Raw(b'{"type":"Unknown"}')

_json = msgspec.json.Encoder().encode


class Sender(msgspec.Struct, frozen=True):
    """Who sends, and from where."""

    key: AccessKey | None
    """None where nobody is asked who they are."""
    source_ip: str
    user_agent: str = ""


@dataclass(slots=True)
class Sums:
    """What became of records."""

    requests: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    since_ms: int = 0
    """When the first of them came."""

    def add(self, other: "Sums") -> None:
        """Count those of ``other``, too."""
        if other.requests and not (self.requests and self.since_ms <= other.since_ms):
            self.since_ms = other.since_ms
        self.requests += other.requests
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.rejected += other.rejected

    def without(self, other: "Sums") -> "Sums":
        """Return what is left when those of ``other`` do not count."""
        return Sums(
            self.requests - other.requests,
            self.accepted - other.accepted,
            self.duplicates - other.duplicates,
            self.rejected - other.rejected,
            self.since_ms,
        )


@dataclass(slots=True)
class _Known:
    """A sender that has sent within the last minute, or has something to be told."""

    sender: Sender
    waiting: Sums
    told_ms: int

    def is_over(self, now_ms: int) -> bool:
        """Whether the minute since the last event is over, or the clock was set back."""
        return not 0 <= now_ms - self.told_ms < TOLD_EVERY_MS


@dataclass(frozen=True, slots=True)
class Telling:
    """An event that is to be appended; then ``told`` or ``untold`` must follow."""

    draft: Draft
    sender: Sender
    sums: Sums
    """What it tells."""


class Senders:
    """Counts what senders send. Owned by one thread."""

    def __init__(self, account: str, region: str, ids: Ids) -> None:
        """``account``: whose event it is when nobody is asked who they are."""
        self._account = account
        self._region = region
        self._ids = ids
        self._known: dict[tuple[str, str], _Known] = {}

    def tell(self, sender: Sender, sums: Sums, now_ms: int) -> Telling | None:
        """Return the event that is to go with records that are appended now.

        None: the sender had one within the last minute; ``count`` the records once they are durable.
        """
        known = self._known.get(_name(sender))
        if known is None:
            if len(self._known) < SENDERS_MAX:
                self._known[_name(sender)] = _Known(sender, Sums(), now_ms)
            return self._telling(sender, sums, now_ms)
        if not known.is_over(now_ms):
            return None
        known.waiting.add(sums)
        known.sender = sender
        return self._next(known, now_ms)

    def is_time(self, sender: Sender, now_ms: int) -> bool:
        """Whether ``tell`` would have an event for records of ``sender``."""
        known = self._known.get(_name(sender))
        return known is None or known.is_over(now_ms)

    def count(self, sender: Sender, sums: Sums) -> None:
        """Count records that came without an event, or of which none was accepted."""
        known = self._known.get(_name(sender))
        if known is None and len(self._known) < SENDERS_MAX:
            known = self._known[_name(sender)] = _Known(sender, Sums(), 0)
        if known is not None:
            known.waiting.add(sums)

    def untold(self, telling: Telling, own: Sums) -> None:
        """Note that ``telling`` was not appended, nor the records of ``own``, which went with it."""
        known = self._known.get(_name(telling.sender))
        if known is None:
            return
        known.told_ms = 0
        known.waiting.add(telling.sums.without(own))

    def due(self, now_ms: int, *, all_of_them: bool = False) -> Iterator[Telling]:
        """Yield the events of those whose minute is over; forget who has not sent in it.

        Each is to be appended before the next is asked for.
        """
        for name, known in list(self._known.items()):
            over = all_of_them or known.is_over(now_ms)
            if not over or self._known.get(name) is not known:
                continue
            if known.waiting.requests:
                yield self._next(known, now_ms)
            else:
                del self._known[name]

    def clear(self) -> None:
        """Forget everything: the log begins anew."""
        self._known.clear()

    def _next(self, known: _Known, now_ms: int) -> Telling:
        """Return the event of all that waits to be told of a sender."""
        sums, known.waiting, known.told_ms = known.waiting, Sums(), now_ms
        return self._telling(known.sender, sums, now_ms)

    def _telling(self, sender: Sender, sums: Sums, now_ms: int) -> Telling:
        key = sender.key
        account = key.account if key else self._account
        fields: dict[str, object] = {
            "eventVersion": _VERSION,
            "userIdentity": encode_identity(key) if key else _UNKNOWN,
            "eventTime": iso_seconds(now_ms),
            "eventSource": _SOURCE,
            "eventName": EVENT_NAME,
            "awsRegion": self._region,
            "sourceIPAddress": sender.source_ip,
            "userAgent": sender.user_agent[:USER_AGENT_CHARS_MAX],
            "requestParameters": {"from": iso_seconds(sums.since_ms), "to": iso_seconds(now_ms)},
            "responseElements": {
                "requests": sums.requests,
                "accepted": sums.accepted,
                "duplicates": sums.duplicates,
                "rejected": sums.rejected,
            },
            **({} if key else {"additionalEventData": {"identityVerified": False}}),
            "eventID": uuid4_text(self._ids),
            "readOnly": False,
            "resources": [
                {
                    "accountId": account,
                    "type": "AWS::CloudTrail::Channel",
                    "ARN": f"arn:aws:opentrail::{account}:records",
                }
            ],
            "eventType": "AwsApiCall",
            "managementEvent": False,
            "recipientAccountId": account,
            "eventCategory": "Data",
        }
        data = codec.encode({name: msgspec.Raw(_json(value)) for name, value in fields.items()})
        return Telling(Draft(Origin.INTERNAL, data), sender, sums)


def _name(sender: Sender) -> tuple[str, str]:
    return sender.key.access_key_id if sender.key else "", sender.source_ip
