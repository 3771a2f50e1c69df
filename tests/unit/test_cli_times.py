# SPDX-License-Identifier: Apache-2.0
"""Times and durations as people write them."""

import pytest

from opentrail.cli.times import duration_s, seconds_of
from opentrail.clock import iso_seconds
from opentrail.errors import UsageError

NOW_S = 1_769_900_000.5
"""2026-01-31T22:53:20.5Z."""
SECOND = 1_769_900_000
"""The eventTime of what happens then."""


class Clock:
    def now_ms(self) -> int:
        return int(NOW_S * 1000)

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", SECOND - 90),
        ("10m", SECOND - 600),
        ("2h", SECOND - 7200),
        ("2h ago", SECOND - 7200),
        ("1.5h", SECOND - 5400),
        ("0.6s", SECOND - 1),
        ("7d", SECOND - 604_800),
        ("1w", SECOND - 604_800),
        ("0s", SECOND),
        ("now", SECOND),
        ("today", 1_769_817_600),
        ("Yesterday", 1_769_731_200),
        ("2026-01-31", 1_769_817_600),
        ("2026-01-31T10:00:00Z", 1_769_853_600),
        ("2026-01-31T11:00:00+01:00", 1_769_853_600),
        ("1769853600", 1_769_853_600),
        ("100000000", 100_000_000),
        ("0", 0),
        ("20260131", 1_769_817_600),
        ("2026", 1_767_225_600),
    ],
)
def test_times(text, seconds):
    assert seconds_of(text, 0, Clock()) == seconds


def test_nothing_said():
    assert seconds_of(None, 7) == 7


@pytest.mark.parametrize(
    "text", ["soon", "2y", "h", "", "2026-13-01", "-5m", "99999999", "12345", "20261301"]
)
def test_no_times(text):
    with pytest.raises(UsageError, match="is no time"):
        seconds_of(text, 0, Clock())


@pytest.mark.parametrize("text", ["1769853600000", "9" * 5000])
def test_milliseconds_are_no_seconds(text):
    with pytest.raises(UsageError, match="not milliseconds"):
        seconds_of(text, 0, Clock())


def test_early_years_have_four_digits():
    text = "0007-01-31T10:00:00Z"
    assert iso_seconds(int(seconds_of(text, 0)) * 1000) == text


@pytest.mark.parametrize(("text", "seconds"), [("5s", 5), ("0.5s", 0.5), ("2m", 120), ("3", 3)])
def test_durations(text, seconds):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan", ""])
def test_no_durations(text):
    with pytest.raises(UsageError, match="is no duration"):
        duration_s(text)
