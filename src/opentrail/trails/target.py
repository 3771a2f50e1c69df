# SPDX-License-Identifier: Apache-2.0
"""What trails may expect of whoever is told of files or gets copies of records.

At least once: what was sent may be sent again after a crash or an answer that did not come. So that
receivers can tell, what is sent twice has the same content: keys, eventIDs, idempotency keys.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from opentrail.event.record import Record
from opentrail.eventlog.base import LogReader
from opentrail.state.base import State
from opentrail.trails.jobs import Threads
from opentrail.trails.notice import Notice
from opentrail.trails.trail import Trail


class Copied(msgspec.Struct, frozen=True, gc=False):
    """A record that is to be copied."""

    data: bytes
    """Its own bytes."""
    record: Record
    account: str
    """Who received the event."""

    @property
    def text(self) -> str:
        """The record as text. What is not UTF-8 in it, which readers of JSON refuse, is replaced.

        Else one such record would end the process that copies it, again and again.
        """
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class TargetRooms:
    """What telling and copying read and write."""

    log: LogReader
    state: State
    threads: Threads
    trails: Callable[[], Sequence[Trail]]
    """All trails as they are now."""
    moved: Callable[[], None] = lambda: None
    """Called, in any thread, when a job ends."""


class Announces(Protocol):
    """Is told of delivered files. Safe from several threads.

    Errors are ClientError with the service's own code, or Unavailable: the outcome is unknown.
    """

    name: str
    """Of the target, unique: letters, digits and hyphens."""

    def wants(self, trail: Trail) -> bool:
        """Return whether the files of ``trail`` are told."""
        ...

    def announce(self, notice: Notice) -> int:
        """Tell of the next files of ``notice``; return how many of all are told then.

        Raises: ClientError. Unavailable.
        """
        ...


class Copies(Protocol):
    """Gets copies of records. Safe from several threads; errors as for ``Announces``."""

    name: str
    shared: bool
    """One copy for an account, however many trails take a record; else one for each trail."""
    batch_max: int
    """Records sent at once."""
    bytes_max: int
    """Of their bytes, and ``overhead`` for each: sent at once."""
    overhead: int
    event_bytes_max: int
    """Of one record, ``overhead`` included: a larger one is not sent."""

    def wants(self, trail: Trail) -> bool:
        """Return whether the records that ``trail`` takes are copied."""
        ...

    def takes(self, record: Record) -> bool:
        """Return whether such a record is copied, if a trail takes it."""
        ...

    def send(self, trail: Trail, records: Sequence[Copied], at_ms: int) -> int:
        """Send ``records``, of ``bytes_max`` and ``batch_max`` at most, in this order.

        Return how many are given up, because the target takes others and never these. ``at_ms`` is
        the time of delivery. Raises: ClientError. Unavailable.
        """
        ...
