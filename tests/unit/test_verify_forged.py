# SPDX-License-Identifier: Apache-2.0
"""Verifying: files that somebody put beside those that are signed, where readers find them."""

import gzip

import pytest
from support.signed_bucket import ACCOUNT, HOUR, START
from support.verified_world import World

from opentrail.objects.base import Put

FORGED = gzip.compress(b'{"Records":[]}')
REGION = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1"
NAMED = f"{ACCOUNT}_CloudTrail_us-east-1_{{}}_A.json.gz"
"""How log files are named."""
MISNAMED = "is not named as log files are"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "logs")


def told(world, **options):
    return [(verdict, reason) for _, verdict, reason in world.wrong(**options)]


@pytest.mark.parametrize("start_s", [0, START])
@pytest.mark.parametrize("day", ["2023/11/14", "2023/11/15"])
def test_a_file_in_a_days_folder_that_is_named_as_one_of_years_before(world, day, start_s):
    """Athena reads by folder, whatever the name says."""
    world.bucket.put(f"{REGION}/{day}/{NAMED.format('20200101T0000Z')}", FORGED, Put())
    assert told(world, start_s=start_s) == [("INVALID", MISNAMED)]


@pytest.mark.parametrize(
    ("day", "minute", "start_s", "verdicts"),
    [
        ("2023/11/14", "20231113T2359Z", START, ["UNKNOWN"]),
        ("2023/11/14", "20231113T2359Z", START + 3 * HOUR, []),
        ("2023/11/13", "20231114T2210Z", START, ["INVALID"]),
        ("2023/11/13", "20231113T2359Z", START, []),
    ],
    ids=["its folder is asked for", "neither is", "its name is", "neither is, alike"],
)
def test_a_file_about_midnight_is_of_both_days(world, day, minute, start_s, verdicts):
    world.bucket.put(f"{REGION}/{day}/{NAMED.format(minute)}", FORGED, Put())
    assert [verdict for verdict, _ in told(world, start_s=start_s)] == verdicts
