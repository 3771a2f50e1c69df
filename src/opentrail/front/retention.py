# SPDX-License-Identifier: Apache-2.0
"""How much of the log may stay, and what became of all records that were ever in it."""

import contextlib
import logging
from functools import partial

from opentrail.clock import Clock
from opentrail.config import Settings
from opentrail.errors import Unavailable
from opentrail.eventlog.counts import Accounts
from opentrail.eventlog.segments import Segments
from opentrail.front.commit import GroupCommit

EXPIRE_INTERVAL_S = 60.0
"""How often old segments are looked for: one holds 64 MiB, so they age slowly."""
_DAY_MS = 86_400_000

_log = logging.getLogger("opentrail.front")


async def keep_up(
    log: Segments, settings: Settings, clock: Clock, commit: GroupCommit, floor_position: int
) -> None:
    """Delete the segments that are past their retention, as far as all have read them.

    ``floor_position`` is where the slowest reader is. Then use the dictionary that there is now. What
    cannot be done is tried again: a full disk needs this most.
    """
    before_ms = clock.now_ms() - int(settings.log.retention_days * _DAY_MS)
    expire = partial(log.expire, before_ms, floor_position)
    try:
        await commit.run(partial(expire, log_bytes_max(settings)))
        await commit.run(log.renew)
    except Unavailable as error:
        _log.error("%s; it is tried again in %s s", error, EXPIRE_INTERVAL_S)


def log_bytes_max(settings: Settings) -> int:
    """Return how large the log may be: what the index leaves of the bound; 0: any size."""
    bytes_max = settings.log.retention_bytes_max
    if not bytes_max:
        return 0
    index = 0
    with contextlib.suppress(FileNotFoundError):  # back changes runs meanwhile, or has begun none
        index = sum(each.stat().st_size for each in (settings.data_dir / "history").iterdir())
    return max(bytes_max - index, 1)


def accounts_of(log: Segments, first: int, indexed: tuple[int, int]) -> Accounts:
    """Return the accounts of ``log``, as far as back told of it.

    ``first`` is where the log began then, ``indexed`` how many events and other records were
    indexed from there.
    """
    appended, expired = log.counts(first)
    events, others = indexed
    waiting = appended - expired - events - others
    return Accounts(appended, events, others, expired, waiting)
