# SPDX-License-Identifier: Apache-2.0
"""Who sends is in the log with the first of the records, and then once a minute, with the sums."""

import json
from typing import Any

import pytest

from opentrail.access.keys import AccessKey, IdentityType
from opentrail.capture import intake_senders
from opentrail.capture.intake_record import check
from opentrail.capture.intake_senders import TOLD_EVERY_MS, Sender, Senders, Sums, Telling
from opentrail.clock import SystemIds
from opentrail.eventlog.base import Origin

NOW_MS = 1_795_867_200_000
KEY = AccessKey(
    "AKIAQBBBBBBBBBBBBBBB",
    "secret",
    IdentityType.IAM_USER,
    "210987654321",
    "arn:aws:iam::210987654321:user/loader",
    user_name="loader",
)
LOADER = Sender(KEY, "192.0.2.7", "loader/1")


def senders() -> Senders:
    return Senders("123456789012", "eu-west-1", SystemIds())


def sums(accepted: int, at_ms: int = NOW_MS, duplicates: int = 0) -> Sums:
    return Sums(1, accepted, duplicates, 0, at_ms)


def said(telling: Telling | None) -> dict[str, Any]:
    assert telling is not None
    assert telling.draft.origin is Origin.INTERNAL
    event: dict[str, Any] = json.loads(telling.draft.data)
    return event


def accepted(telling: Telling | None) -> int:
    return int(said(telling)["responseElements"]["accepted"])


def test_the_event_says_who_from_where_and_how_much():
    telling = senders().tell(LOADER, sums(3), NOW_MS + 1500)
    event = said(telling)
    assert event["userIdentity"] == {
        "type": "IAMUser",
        "arn": KEY.arn,
        "accountId": KEY.account,
        "accessKeyId": KEY.access_key_id,
        "userName": "loader",
    }
    assert (event["eventName"], event["recipientAccountId"]) == ("PutRecords", KEY.account)
    assert (event["sourceIPAddress"], event["userAgent"]) == ("192.0.2.7", "loader/1")
    assert event["requestParameters"] == {
        "from": "2026-11-28T12:00:00Z",
        "to": "2026-11-28T12:00:01Z",
    }
    assert event["responseElements"] == {
        "requests": 1,
        "accepted": 3,
        "duplicates": 0,
        "rejected": 0,
    }
    assert "additionalEventData" not in event
    assert (event["eventCategory"], event["managementEvent"]) == ("Data", False)
    assert [each["type"] for each in event["resources"]] == ["AWS::CloudTrail::Channel"]
    assert telling is not None
    assert check(telling.draft.data, NOW_MS // 1000).data == telling.draft.data
    assert b"secret" not in telling.draft.data


def test_who_is_not_asked_who_it_is_is_told_as_unverified():
    event = said(senders().tell(Sender(None, "192.0.2.7", "x" * 10_000), sums(1), NOW_MS))
    assert event["userIdentity"] == {"type": "Unknown"}
    assert event["additionalEventData"] == {"identityVerified": False}
    assert event["recipientAccountId"] == "123456789012"
    assert len(event["userAgent"]) == intake_senders.USER_AGENT_CHARS_MAX


def test_a_minute_has_one_event_and_the_next_tells_of_the_rest():
    some = senders()
    assert accepted(some.tell(LOADER, sums(1), NOW_MS)) == 1
    for second in range(1, 60):
        assert some.tell(LOADER, sums(2), NOW_MS + second * 1000) is None
        some.count(LOADER, sums(2, NOW_MS + second * 1000))
    other = Sender(KEY, "192.0.2.8")
    assert accepted(some.tell(other, sums(5), NOW_MS)) == 5
    assert list(some.due(NOW_MS + TOLD_EVERY_MS - 1)) == []
    again = some.tell(LOADER, sums(10, NOW_MS + TOLD_EVERY_MS), NOW_MS + TOLD_EVERY_MS)
    assert said(again)["requestParameters"]["from"] == "2026-11-28T12:00:01Z"
    assert (accepted(again), said(again)["responseElements"]["requests"]) == (59 * 2 + 10, 60)
    some.count(LOADER, sums(4, NOW_MS + TOLD_EVERY_MS))
    (rest,) = some.due(NOW_MS + 2 * TOLD_EVERY_MS)
    assert accepted(rest) == 4
    assert list(some.due(NOW_MS + 2 * TOLD_EVERY_MS)) == []


def test_a_clock_that_is_set_back_silences_nobody():
    some = senders()
    assert some.tell(LOADER, sums(1), NOW_MS + 10 * TOLD_EVERY_MS) is not None
    assert some.tell(LOADER, sums(1), NOW_MS) is not None


def test_what_brought_nothing_new_is_told_too():
    some = senders()
    some.count(LOADER, sums(0, duplicates=7))
    (telling,) = some.due(NOW_MS)
    assert said(telling)["responseElements"]["duplicates"] == 7
    assert list(some.due(NOW_MS, all_of_them=True)) == []


def test_an_event_that_was_not_appended_is_told_again_without_its_own_records():
    some = senders()
    assert some.tell(LOADER, sums(1), NOW_MS) is not None
    some.count(LOADER, sums(2))
    telling = some.tell(LOADER, sums(4), NOW_MS + TOLD_EVERY_MS)
    assert accepted(telling) == 6
    assert telling is not None
    some.untold(telling, sums(4))
    assert accepted(some.tell(LOADER, sums(8), NOW_MS + TOLD_EVERY_MS)) == 10
    some.count(LOADER, sums(16))
    (rest,) = some.due(NOW_MS, all_of_them=True)
    some.untold(rest, Sums())
    (rest,) = some.due(NOW_MS + TOLD_EVERY_MS)
    assert accepted(rest) == 16
    some.clear()
    some.untold(rest, Sums())
    assert accepted(some.tell(LOADER, sums(1), NOW_MS)) == 1


def test_one_that_is_not_asked_for_is_still_to_be_told():
    some = senders()
    for number in range(3):
        some.count(Sender(KEY, f"192.0.2.{number}"), sums(1))
    next(some.due(NOW_MS))  # and its append failed: the others were not begun
    assert len(list(some.due(NOW_MS))) == 2


@pytest.mark.parametrize("most", [1, 3])
def test_senders_that_are_too_many_are_told_each_time(monkeypatch, most):
    monkeypatch.setattr(intake_senders, "SENDERS_MAX", most)
    some = senders()
    for number in range(most):
        assert some.tell(Sender(KEY, str(number)), sums(1), NOW_MS) is not None
        assert some.tell(Sender(KEY, str(number)), sums(1), NOW_MS) is None
    for _ in range(2):
        assert accepted(some.tell(LOADER, sums(1), NOW_MS)) == 1
        some.count(LOADER, sums(0, duplicates=1))
    assert len(some._known) == most
    assert list(some.due(NOW_MS + TOLD_EVERY_MS)) == []
    assert some.tell(LOADER, sums(1), NOW_MS + TOLD_EVERY_MS) is not None
    assert some.tell(LOADER, sums(1), NOW_MS + TOLD_EVERY_MS) is None
