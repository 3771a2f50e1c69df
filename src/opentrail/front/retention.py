# SPDX-License-Identifier: Apache-2.0
"""How much of the log may stay, and what became of all records that were ever in it."""

import contextlib

from opentrail.config import Settings
from opentrail.eventlog.counts import Accounts
from opentrail.eventlog.segments import Segments


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
