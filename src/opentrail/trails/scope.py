# SPDX-License-Identifier: Apache-2.0
"""Which records a trail takes: its account, its regions, then its selectors. Pure.

Source: CloudTrail User Guide, "CloudTrail concepts", 'Global service events' and 'Trails'.
"""

from collections.abc import Callable

from opentrail.event.place import account_of
from opentrail.event.record import Record
from opentrail.event.selectors import Selects, compile_selectors, whole_categories
from opentrail.eventlog.base import Entry, Origin
from opentrail.trails.trail import Trail

_NEVER_DELIVERED = (Origin.IMPORT,)
"""Records of log files made elsewhere: they were delivered there."""

GLOBAL_REGION = "us-east-1"
"""Where global services log what they do (since November 2021)."""

GLOBAL_SOURCES = frozenset({"cloudfront.amazonaws.com", "iam.amazonaws.com", "sts.amazonaws.com"})
"""Global services; STS has regional endpoints too, whose records say another region."""


def delivered(entry: Entry) -> bool:
    """Return whether any trail may take a record that came in so."""
    return entry.origin not in _NEVER_DELIVERED


def takes(trail: Trail) -> Selects:
    """Return whether ``trail`` takes a record: one of its accounts and regions that it selects.

    Whether it may be ``delivered`` and whether the trail logs is not asked.
    """
    selects = compile_selectors(trail.event_selectors, trail.advanced_selectors)
    within = reaches(trail)
    if _without_global(trail):
        return lambda record: (
            within(account_of(record), record.aws_region)
            and not _is_global(record)
            and selects(record)
        )
    return lambda record: within(account_of(record), record.aws_region) and selects(record)


def reaches(trail: Trail) -> Callable[[str, str], bool]:
    """Return whether ``trail`` may take a record of an account and a region."""
    accounts, home = frozenset((trail.account, *trail.members)), trail.home_region
    if trail.is_multi_region:
        return lambda account, _region: account in accounts
    return lambda account, region: region == home and account in accounts


def taken_whole(trail: Trail) -> frozenset[str]:
    """Return categories of which ``trail`` takes all that it reaches, whatever a record says."""
    if _without_global(trail):
        return frozenset()
    return whole_categories(trail.event_selectors, trail.advanced_selectors)


def _without_global(trail: Trail) -> bool:
    home, with_global = trail.home_region, trail.include_global_service_events
    return not trail.is_multi_region and home == GLOBAL_REGION and not with_global


def _is_global(record: Record) -> bool:
    return record.event_source in GLOBAL_SOURCES
