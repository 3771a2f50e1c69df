# SPDX-License-Identifier: Apache-2.0
"""Which records a trail takes by account and region."""

import json

import pytest

from opentrail.event.codec import decode
from opentrail.event.selectors import EventSelector
from opentrail.eventlog.base import Entry, Origin
from opentrail.trails.scope import delivered, taken_whole, takes
from opentrail.trails.trail import Trail

ACCOUNT = "111122223333"


def trail(**changes):
    usual = {
        "id": "1",
        "name": "audit",
        "account": ACCOUNT,
        "home_region": "us-east-1",
        "bucket": "logs",
    }
    return Trail(**(usual | changes))


def taken(of_trail, **record):
    usual = {"recipientAccountId": ACCOUNT, "awsRegion": "us-east-1", "eventSource": "x"}
    return takes(of_trail)(decode(json.dumps(usual | record).encode()))


def test_the_account_is_the_one_that_received_the_event():
    assert taken(trail())
    assert not taken(trail(), recipientAccountId="444455556666")
    by_caller = {"recipientAccountId": None, "userIdentity": {"accountId": ACCOUNT}}
    assert taken(trail(), **by_caller)


def test_a_single_region_trail_takes_its_home_region():
    assert not taken(trail(), awsRegion="eu-west-1")
    assert taken(trail(is_multi_region=True), awsRegion="eu-west-1")


@pytest.mark.parametrize("source", ["iam", "sts", "cloudfront"])
def test_global_services_log_in_one_region_if_they_are_wanted(source):
    event = {"eventSource": f"{source}.amazonaws.com"}
    assert taken(trail(), **event)
    assert not taken(trail(include_global_service_events=False), **event)
    abroad = trail(home_region="eu-west-1", include_global_service_events=False)
    assert not taken(trail(home_region="eu-west-1"), **event)
    assert taken(abroad, **event, awsRegion="eu-west-1"), "STS has endpoints in regions"
    assert taken(trail(is_multi_region=True), **event)


def test_nothing_is_taken_whole_by_a_trail_that_leaves_global_services_out():
    assert taken_whole(trail()) == {"Management"}
    assert taken_whole(trail(include_global_service_events=False)) == set()
    assert taken_whole(trail(event_selectors=(EventSelector("ReadOnly"),))) == set()


def test_the_selectors_have_the_last_word():
    assert not taken(trail(event_selectors=(EventSelector("ReadOnly"),)), readOnly=False)


@pytest.mark.parametrize("origin", Origin)
def test_what_was_imported_is_never_delivered(origin):
    assert delivered(Entry(0, 0, origin, b"{}")) == (origin is not Origin.IMPORT)
