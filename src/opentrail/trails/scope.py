# SPDX-License-Identifier: Apache-2.0
"""Which records a trail takes: its account, its regions, then its selectors. Pure.

Source: CloudTrail User Guide, "CloudTrail concepts", 'Global service events' and 'Trails'.
"""

from opentrail.event.place import account_of
from opentrail.event.record import Record
from opentrail.event.selectors import Selects, compile_selectors
from opentrail.eventlog.base import Origin
from opentrail.trails.trail import Trail

NEVER_DELIVERED = frozenset({Origin.IMPORT})
"""Records of log files made elsewhere: they were delivered there."""

GLOBAL_REGION = "us-east-1"
"""Where global services log what they do (since November 2021)."""

GLOBAL_SOURCES = frozenset({"cloudfront.amazonaws.com", "iam.amazonaws.com", "sts.amazonaws.com"})
"""Global services; STS has regional endpoints too, whose records say another region."""


def takes(trail: Trail) -> Selects:
    """Return whether ``trail`` takes a record: one of its accounts and regions that it selects.

    Which origins are never taken (``NEVER_DELIVERED``) and whether the trail logs is not asked.
    """
    selects = compile_selectors(trail.event_selectors, trail.advanced_selectors)
    in_regions = _in_regions(trail)
    accounts = frozenset((trail.account, *trail.members))
    return lambda record: account_of(record) in accounts and in_regions(record) and selects(record)


def _in_regions(trail: Trail) -> Selects:
    if trail.is_multi_region:
        return lambda _record: True
    home, with_global = trail.home_region, trail.include_global_service_events
    if home != GLOBAL_REGION or with_global:
        return lambda record: record.aws_region == home
    return lambda record: record.aws_region == home and not _is_global(record)


def _is_global(record: Record) -> bool:
    return record.event_source in GLOBAL_SOURCES
