# SPDX-License-Identifier: Apache-2.0
"""Whether an event is in the log already: for those who append what has an eventID of its own."""

from collections.abc import Iterable

from opentrail.clock import uuid_text
from opentrail.eventlog.base import LogReader


def recorded(event_ids: Iterable[bytes], log: LogReader, since: int) -> set[bytes]:
    """Return which of ``event_ids`` (16 bytes each) have a record at or past ``since``."""
    wanted = {uuid_text(event_id).encode(): event_id for event_id in event_ids}
    return {
        event_id
        for entry in log.entries(since)
        for text, event_id in wanted.items()
        if text in entry.data
    }
