# SPDX-License-Identifier: Apache-2.0
"""What ``opentrail status`` says of targets beside the bucket: a trail's own, and those of an account."""

import msgspec
import pytest
from support.memory_state import MemoryState

from opentrail.cli.status import Line, _refused, _shared
from opentrail.cli.trails_here import TrailsHere
from opentrail.state.base import Change
from opentrail.trails.registry import LIVE_PREFIX
from opentrail.trails.status import TargetStatus, target_status_key
from opentrail.trails.trail import Trail

OWNER, MEMBER = "123456789012", "222222222222"
NOW_MS = 1_790_000_000_000
TRAIL = Trail(
    id="t",
    name="org",
    account=OWNER,
    home_region="us-east-1",
    bucket="logs",
    organization_id="o-exampleorgid",
    members=(MEMBER,),
)


def state_with(**statuses):
    """Return a state of one trail; ``statuses``: of EventBridge, by account (``a123456789012``)."""
    state = MemoryState()
    state.commit([Change(f"{LIVE_PREFIX}t", msgspec.json.encode(TRAIL), None)])
    for account, status in statuses.items():
        key = target_status_key(account[1:], "events")
        state.commit([Change(key, msgspec.json.encode(status), None)])
    return TrailsHere(state)


def test_copies_of_an_account_are_told():
    took = TargetStatus(delivered_ms=NOW_MS - 7000)
    here = state_with(a123456789012=took, a222222222222=TargetStatus(delivered_ms=NOW_MS - 9000))
    assert list(_shared(here, NOW_MS)) == [Line("events", "7 s ago")]
    assert list(_shared(state_with(), NOW_MS)) == []


def test_an_account_whose_copies_fail_is_wrong():
    failing = TargetStatus(error="AccessDenied", failing_ms=2 * 3_600_000 + 1, given_up=3)
    here = state_with(a222222222222=failing)
    assert list(_shared(here, NOW_MS)) == [
        Line("events", "of account 222222222222: AccessDenied", wrong=True),
        Line("backlog", "account 222222222222, events: refused for 2 hours", wrong=True),
        Line("given up", "account 222222222222, events: 3 records never delivered", wrong=True),
    ]


@pytest.mark.parametrize(
    ("what", "things"), [("logs", "records"), ("sns", "files"), ("webhook-siem", "files")]
)
def test_what_was_given_up_is_called_what_it_is(what, things):
    here = state_with(a123456789012=TargetStatus(given_up=2))
    ((_, status),) = here.statuses(OWNER)
    (line,) = _refused(f"org, {what}", what, status)
    assert line.text == f"org, {what}: 2 {things} never delivered"
