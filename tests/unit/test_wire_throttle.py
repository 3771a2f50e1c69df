# SPDX-License-Identifier: Apache-2.0
"""LookupEvents at CloudTrail's own two a second, when the operator asks for it."""

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import client
from support.trail_rooms import TrailRooms
from support.wire_server import ADMIN, SmallHistory, serving

from opentrail.errors import ClientError as Refused
from opentrail.wire.throttle import SCOPES_MAX, Throttle

EXPECTED = ("ThrottlingException", "Rate exceeded", 400)


class Hands:
    seconds = 100.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


def passes(throttle: Throttle, region: str = "us-east-1") -> bool:
    try:
        throttle.take("111122223333", region)
    except Refused as error:
        return (error.code, error.message, error.status) != EXPECTED
    return True


def test_two_a_second_for_each_scope():
    clock = Hands()
    throttle = Throttle(2.0, clock)
    assert [passes(throttle) for _ in range(3)] == [True, True, False]
    assert passes(throttle, "eu-west-1")
    clock.seconds += 0.5
    assert [passes(throttle) for _ in range(2)] == [True, False]
    clock.seconds += 60
    assert [passes(throttle) for _ in range(3)] == [True, True, False]


def test_no_limit_and_less_than_one():
    clock = Hands()
    assert all(passes(Throttle(0.0, clock)) for _ in range(100))
    slow = Throttle(0.5, clock)
    assert [passes(slow), passes(slow)] == [True, False]
    clock.seconds += 2
    assert passes(slow)


def test_memory_is_bounded():
    throttle = Throttle(1.0, Hands())
    for number in range(SCOPES_MAX + 10):
        throttle.take("111122223333", f"region-{number}")
    assert len(throttle._left) <= SCOPES_MAX


def test_a_client_sees_the_error():
    rooms = TrailRooms()
    rooms.lookup_requests_s = 2.0
    with serving(SmallHistory(), rooms) as address:
        cloudtrail = client("cloudtrail", address, ADMIN)
        cloudtrail.lookup_events()
        cloudtrail.lookup_events()
        with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"):
            cloudtrail.lookup_events()
        cloudtrail.close()
