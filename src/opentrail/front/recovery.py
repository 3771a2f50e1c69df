# SPDX-License-Identifier: Apache-2.0
"""What the last process left behind, recorded at the start of the next."""

from collections.abc import Sequence
from dataclasses import dataclass

from opentrail.capture.build import BuildSettings
from opentrail.capture.recover import recover
from opentrail.clock import Clock, uuid_text
from opentrail.config import Settings
from opentrail.event.gap import Gap, gap_event
from opentrail.eventlog.base import Draft, EventLog, Origin
from opentrail.eventlog.inflight import Ended, InFlight, InFlightEntry
from opentrail.eventlog.recorded import recorded
from opentrail.front.gaps import Gaps


@dataclass(frozen=True, slots=True)
class LastRun:
    """What it left."""

    inflight: InFlight
    leftovers: Sequence[InFlightEntry]
    ended: Ended
    gaps: Gaps


def recover_last_run(
    last: LastRun, log: EventLog, build: BuildSettings, settings: Settings, clock: Clock
) -> int:
    """Make records of the calls that were in flight when the last process died; return how many.

        1. find which of them have a record already
        2. append the missing ones, and gap events: after a power loss, and of calls that passed
           while the log could not be written (durable)
        3. release the slots, note that it is done
    A crash before 3 repeats 1, which then finds them. A log that refuses leaves it all to the next
    start. Raises: Unavailable. Corrupt.
    """
    if log.writable():
        return 0
    drafts = recover(last.leftovers, log, build)
    if last.ended is Ended.POWER_LOSS:
        drafts += _power_loss(last, log, settings, clock)
    unrecorded = last.gaps.leftover(log)
    if unrecorded is not None:
        drafts.append(unrecorded)
    if drafts:
        log.append(drafts)
    last.gaps.forget()
    for entry in last.leftovers:
        last.inflight.release(entry.slot)
    last.inflight.recorded()
    return len(drafts)


def _power_loss(last: LastRun, log: EventLog, settings: Settings, clock: Clock) -> list[Draft]:
    """Return the gap event of the machine's stop, unless the log has it."""
    event_id = last.inflight.ended_boot_id
    last_ms = now_ms = clock.now_ms()
    for entry in log.entries(0):
        last_ms = entry.append_ms
    if recorded([event_id], log, 0):
        return []
    gap = Gap("power-loss", last_ms, now_ms)
    data = gap_event(gap, uuid_text(event_id), settings.account, settings.region, now_ms)
    return [Draft(Origin.INTERNAL, data)]
