# SPDX-License-Identifier: Apache-2.0
"""How long files wait for a bucket that takes none, and what is then given up. Data and rules, pure.

Source: CloudTrail User Guide, "How CloudTrail delivers log files": it tries for 30 days. Here a trail
holds what waits for as long as it takes, unless the operator says that it gives up the oldest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from opentrail.trails.retry import tried_ms
from opentrail.trails.status import DeliveryStatus
from opentrail.trails.timeline import Milestone
from opentrail.trails.trail import Trail

BACKLOG_BYTES_MAX: Final = 10 * 1024**3
"""Some 40 million records: a week of 60 a second. Far below what the log's disk should have."""
DAY_MS: Final = 86_400_000
RETRY_DAYS: Final = 30
"""CloudTrail's own."""
GIVE_UP_AFTER_MS_MIN: Final = 3_600_000
"""However large a backlog is: what a bucket is not given must not hang on one bad answer."""
EVERY: Final = "*"
"""No trail can be called so."""

TOO_LARGE: Final = "backlog-too-large"
TOO_OLD: Final = "undeliverable-too-long"
"""Why files are given up: reasons of the gap event."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says of files that wait. Plain data: front hands it to back."""

    bytes_max: int = BACKLOG_BYTES_MAX
    """Of the log, behind a trail's cursor; a larger backlog is told, and given up if allowed."""
    retry_ms: int = RETRY_DAYS * DAY_MS
    """How long files that may be given up are tried."""
    give_up: tuple[str, ...] = ()
    """Names or ARNs of the trails that give up the oldest, or EVERY. The others hold all."""

    def gives_up(self, trail: Trail) -> bool:
        """Return whether files of ``trail`` may be given up."""
        return any(each in (EVERY, trail.name, trail.arn) for each in self.give_up)


@dataclass(frozen=True, slots=True)
class Surrender:
    """Which ranges of a trail are given up: those that begin before a position of the log."""

    before: int
    why: str
    """TOO_LARGE or TOO_OLD."""


def surrender(
    patience: Patience,
    status: DeliveryStatus,
    log_end: int,
    milestones: Iterable[Milestone],
) -> Surrender | None:
    """Return what a trail gives up whose last put has just failed, as ``status`` says; None: nothing.

    ``milestones``: those behind its cursor. Nothing is given up before the bucket has refused for
    GIVE_UP_AFTER_MS_MIN. A range is too old when its cut is, and only once the
    bucket has refused for as long: neither a server that was off nor a clock that jumped forward
    makes it so.
    """
    if status.failing_ms < min(GIVE_UP_AFTER_MS_MIN, patience.retry_ms):
        return None
    before, why = log_end - patience.bytes_max, TOO_LARGE
    if status.failing_ms >= patience.retry_ms:
        oldest_ms = status.attempted_ms - patience.retry_ms
        old = max((each.position for each in milestones if each.cut_ms <= oldest_ms), default=0)
        if old > before:
            before, why = old, TOO_OLD
    return Surrender(before, why) if before > 0 else None


def after_failure(
    before: DeliveryStatus, now_ms: int, code: str, *, tried: bool = True
) -> DeliveryStatus:
    """Return the status after a put that failed; not ``tried``: something of our own did.

    The last success, and what was given up, stand beside the error.
    """
    more_ms = tried_ms(before.attempted_ms, now_ms) if before.error and tried else 0
    failing_ms = before.failing_ms + more_ms
    return msgspec.structs.replace(before, attempted_ms=now_ms, error=code, failing_ms=failing_ms)


def after_success(before: DeliveryStatus, now_ms: int) -> DeliveryStatus:
    """Return the status after all files of a range were put."""
    return msgspec.structs.replace(
        before, delivered_ms=now_ms, attempted_ms=now_ms, error="", failing_ms=0
    )


class GivenUp(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one range that a bucket was never given. State: ``given_up_key``."""

    trail_arn: str
    account: str
    region: str
    bucket: str
    why: str
    """Of ``Surrender``."""
    error: str
    """What the bucket said last."""
    keys: tuple[str, ...]
    """Of the files; a file whose put had no answer may be there all the same."""
    records: int
    oldest_ms: int
    newest_ms: int
    """eventTime of the records, milliseconds."""
    log_end: int
    """The log's end when they were given up: the gap event lies behind it."""


GIVEN_UP_PREFIX: Final = "given-up/"


def given_up_key(trail_id: str, position: int) -> str:
    """Return where state keeps a ``GivenUp``, until the log has its gap event."""
    return f"{GIVEN_UP_PREFIX}{trail_id}/{position:020d}"
