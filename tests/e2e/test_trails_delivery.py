# SPDX-License-Identifier: Apache-2.0
"""Trails of the real server: in time, once, of the right account, and valid for the AWS CLI."""

import gzip
import time
from collections import Counter
from contextlib import contextmanager

import duckdb
import pytest
from support.aws_clients import Key
from support.server import OpenTrail, wait_until
from support.trail_server import (
    FILE_INTERVAL_S,
    LATE_S_MAX,
    TrailSeen,
    check_once,
    check_valid,
    log_files,
    settings,
)

from opentrail.access.keys import make_access_key_id
from opentrail.clock import SystemIds
from opentrail.sandbox.process import start_sandbox

OURS, THEIRS = "123456789012", "210987654321"
THEIR_KEY = Key(
    make_access_key_id(THEIRS, SystemIds()), "their-secret-of-forty-characters-00000000"
)
CONFIG = f"""
account = "{OURS}"
accounts = ["{THEIRS}"]

[forward]
verify = true

[access_keys.{THEIR_KEY.access_key_id}]
secret_access_key = "{THEIR_KEY.secret_access_key}"
account = "{THEIRS}"
user_name = "theo"
policies = ["CloudTrailFullAccess"]
"""
WRITES = [{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True, "DataResources": []}]


def managed_by(account, *, read_only=None):
    """Return what a trail of management events takes."""
    return lambda event: (
        event["eventCategory"] == "Management"
        and event["recipientAccountId"] == account
        and (read_only is None or event["readOnly"] is read_only)
    )


def make_calls(server, word):
    """Make calls of both accounts: reads, writes and data events."""
    for key, owner in ((server.admin, "our"), (THEIR_KEY, "their")):
        sagemaker = server.client("sagemaker", key)
        for number in range(3):
            sagemaker.create_model(ModelName=f"{owner}-{word}-{number}")
        sagemaker.list_models()
        features = server.client("sagemaker-featurestore-runtime", key, validate=False)
        with pytest.raises(features.exceptions.ClientError):
            features.get_record(FeatureGroupName="none", RecordIdentifierValueAsString="1")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Yield (server, trails by name, seconds until the first file, home), all trails stopped."""
    home = tmp_path_factory.mktemp("trails")
    bucket = home / "audit"
    with start_sandbox() as sandbox:
        config = CONFIG + settings(bucket)
        with OpenTrail(home / "data", upstream=sandbox.url, config=config) as server:
            admin = server.admin
            trails = {
                "all": TrailSeen(server, bucket, "all", managed_by(OURS), admin),
                "writes": TrailSeen(
                    server, bucket, "writes", managed_by(OURS, read_only=False), admin
                ),
                "theirs": TrailSeen(server, bucket, "theirs", managed_by(THEIRS), THEIR_KEY),
            }
            for trail in trails.values():
                trail.create()
            trails["writes"].call("put_event_selectors", TrailName="writes", EventSelectors=WRITES)
            make_calls(server, "before")
            for trail in trails.values():
                trail.start()
            began = time.monotonic()
            wait_until(lambda: log_files(bucket))
            first_s = time.monotonic() - began
            make_calls(server, "first")
            trails["all"].stop()
            make_calls(server, "pause")
            trails["all"].start()
            make_calls(server, "again")
            for trail in trails.values():
                trail.stop()
            make_calls(server, "after")
            yield server, trails, first_s, home


def names(trail):
    """Return the names of the models whose creation a trail delivered."""
    models = {
        event["eventID"]: event["requestParameters"]["modelName"]
        for event in trail.server.events()
        if event["eventName"] == "CreateModel"
    }
    return {models[each].rsplit("-", 1)[0] for each in trail.delivered() if each in models}


def test_the_first_file_comes_in_time(world):
    assert world[2] <= FILE_INTERVAL_S + LATE_S_MAX


def test_each_event_is_in_one_file_of_each_trail_that_selects_it(world):
    check_once(list(world[1].values()))


def test_only_what_was_called_while_a_trail_logged_is_delivered(world):
    trails = world[1]
    assert names(trails["all"]) == {"our-first", "our-again"}
    assert names(trails["writes"]) == {"our-first", "our-pause", "our-again"}
    assert names(trails["theirs"]) == {"their-first", "their-pause", "their-again"}


@pytest.mark.parametrize("name", ["all", "writes", "theirs"])
def test_the_aws_cli_finds_all_of_a_trail_valid(world, name):
    check_valid(world[1][name], world[3])


@pytest.mark.parametrize("name", ["all", "writes", "theirs"])
def test_so_does_our_own_verification(world, name):
    code, output = world[1][name].verify(world[3])
    assert code == 0, output


@contextmanager
def changed(path):
    """Let a log file hold other records than those that were delivered."""
    before = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(before).replace(b"CreateModel", b"DeleteModel")))
    try:
        yield
    finally:
        path.write_bytes(before)


def test_both_notice_a_changed_file(world):
    trail = world[1]["writes"]
    models = [key for key in trail.listed() if b"CreateModel" in unpacked(trail.bucket / key)]
    with changed(trail.bucket / models[0]):
        code, output = trail.verify(world[3])
        assert (code, models[0] in output) == (1, True), output
        code, output = trail.validate_logs(world[3])
        assert (code, models[0] in output) == (1, True), output
    assert trail.verify(world[3])[0] == 0


def unpacked(path):
    return gzip.decompress(path.read_bytes())


def test_duckdb_reads_the_files_as_published_examples_do(world):
    bucket = world[1]["all"].bucket
    events = (
        duckdb.connect()
        .execute(f"""
        SELECT record.eventID AS id, record.userIdentity.type AS type, CAST(record.eventTime AS VARCHAR) AS time
        FROM (SELECT unnest(Records) AS record
              FROM read_json('{bucket}/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz',
                             maximum_object_size = 100000000))
    """)
        .fetchall()
    )
    delivered = sum((trail.delivered() for trail in world[1].values()), Counter[str]())
    assert Counter(str(event[0]) for event in events) == delivered
    assert {event[1] for event in events} == {"IAMUser"}
    assert all(event[2] is not None for event in events)
