# SPDX-License-Identifier: Apache-2.0
"""Both processes are killed again and again under load: no call is lost, and none is there twice."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from support.aws_clients import Key, client
from support.create_load import AGENT, Load
from support.server import OpenTrail, clean_environment, run, wait_until
from support.signed_requests import KEY_ID, SECRET

from opentrail.sandbox.process import start_sandbox

ROUNDS = 8
"""Of three kills each; the moments of a start at which the next front is killed are spread over them."""
CLIENTS = 6
"""So many that at some kill one of their calls is under way."""
CALLS_BETWEEN, CALLS_AHEAD = 25, 50
"""Calls that are answered before each kill: all clients are at work then. And so many more until there is
another: while a slow machine starts a process, they would make more models than the sandbox has room for."""
BACK_DOWN_S_MAX = 30.0
"""It starts within one on a quiet machine."""
START_S = 1.0
"""A start takes about half of it on a quiet machine."""
CONFIG = f"""
[forward]
verify = true

[log]
disk_reserve_bytes = 0

[access_keys.{KEY_ID}]
secret_access_key = "{SECRET}"
user_name = "load"
"""


class Killer:
    """Kills the server's processes while calls are made, and starts it again."""

    def __init__(self, server, noted):
        self.server = server
        self.noted = noted
        self.unavailable = 0

    def wait_for_calls(self):
        wanted = len(self.noted.answered) + CALLS_BETWEEN
        self.noted.answers_max = wanted + CALLS_AHEAD
        wait_until(lambda: len(self.noted.answered) >= wanted, seconds_max=30)

    def kill_front(self):
        self.wait_for_calls()
        self.server.kill()
        self.server.start()

    def kill_both(self, round_number):
        """Kill both at once, and the next front at another moment of its start each time."""
        self.wait_for_calls()
        back = self.server.back_pid
        os.kill(self.server.pid, signal.SIGKILL)
        os.kill(back, signal.SIGKILL)
        self.server.kill()
        starting = subprocess.Popen(
            self.server.command(),
            env=clean_environment(self.server.data.parent),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(START_S * round_number / ROUNDS)
        starting.kill()
        starting.wait()
        self.server.start()

    def kill_back(self):
        """Check that only CloudTrail's callers notice, and only for a moment."""
        self.wait_for_calls()
        cloudtrail = self.server.client("cloudtrail")
        broken = self.noted.broken
        self.server.kill_back()
        deadline = time.monotonic() + BACK_DOWN_S_MAX
        refused = 0
        while not answers(cloudtrail):
            assert time.monotonic() < deadline
            refused += 1
            time.sleep(0.02)
        self.unavailable += refused > 0
        self.wait_for_calls()
        assert self.noted.broken == broken


def answers(cloudtrail):
    """Whether CloudTrail's API answers; if not, its callers are told to come back."""
    try:
        cloudtrail.lookup_events(MaxResults=1)
    except ClientError as error:
        said = error.response
    else:
        return True
    assert said["Error"]["Code"] == "ServiceUnavailable"
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 503
    return False


def names(events):
    """Return how many records each call of the load has."""
    agents = (event["userAgent"] for event in events)
    return Counter(agent.removeprefix(AGENT) for agent in agents if agent.startswith(AGENT))


def models(sandbox):
    """Return the names of all models that the upstream has."""
    pages = client("sagemaker", sandbox.url, Key(KEY_ID, SECRET)).get_paginator("list_models")
    return {row["ModelName"] for page in pages.paginate(MaxResults=100) for row in page["Models"]}


def is_unknown(event):
    return event.get("additionalEventData", {}).get("outcome") == "unknown"


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory):
    """Kill, so many rounds: back, then front, then both. Yield what the load saw and what is left."""
    data = tmp_path_factory.mktemp("kill") / "data"
    with start_sandbox() as sandbox:
        server = OpenTrail(data, upstream=sandbox.url, config=CONFIG)
        with server:
            with Load(server.endpoint, raw=CLIENTS, boto=1) as noted:
                killer = Killer(server, noted)
                for round_number in range(ROUNDS):
                    killer.kill_back()
                    killer.kill_front()
                    killer.kill_both(round_number)
            yield server, noted, killer, models(sandbox)


def test_every_answered_call_is_in_the_log_exactly_once(aftermath):
    server, noted, _, _ = aftermath
    events = server.events()
    counts = names(events)
    requests = {event["userAgent"].removeprefix(AGENT): event["requestID"] for event in events}

    assert len(noted.answered) >= 3 * ROUNDS * CALLS_BETWEEN
    assert set(noted.statuses) == {200}
    assert {name: counts[name] for name in noted.answered if counts[name] != 1} == {}
    assert {name: requests[name] for name in noted.answered} == noted.answered
    unknown = {event["userAgent"].removeprefix(AGENT) for event in events if is_unknown(event)}
    assert unknown & noted.answered.keys() == set()


def test_every_resource_that_was_made_is_in_the_log_in_full_or_as_unknown(aftermath):
    server, noted, _, made = aftermath
    events = server.events()
    full = names(event for event in events if not is_unknown(event))
    unknown = names(event for event in events if is_unknown(event))

    assert made >= noted.answered.keys()
    assert {name for name in made if full[name] + unknown[name] != 1} == set()
    assert {name for name, count in (full + unknown).items() if count != 1} == set()
    assert {
        event["requestParameters"]["modelName"]
        for event in events
        if event["eventName"] == "CreateModel" and not is_unknown(event)
    } == set(full)
    # Without calls in flight at the moment of a kill, nothing was tested.
    assert noted.broken
    assert unknown


def test_unknown_outcomes_say_who_called_what(aftermath):
    server, _, _, _ = aftermath
    for event in filter(is_unknown, server.events()):
        assert event["eventName"] in ("CreateModel", "LookupEvents")
        assert event["userIdentity"]["type"] == "IAMUser"
        assert event["sourceIPAddress"] == "127.0.0.1"


def test_cloudtrail_calls_got_503_while_back_was_down(aftermath):
    _, _, killer, _ = aftermath
    assert killer.unavailable >= ROUNDS - 2


def test_lookup_events_shows_all_after_the_last_restart(aftermath):
    server, _, _, _ = aftermath
    attribute = {"AttributeKey": "EventName", "AttributeValue": "CreateModel"}
    events = server.lookup(LookupAttributes=[attribute])
    shown = [json.loads(event["CloudTrailEvent"]) for event in events]
    logged = {event["eventID"]: event for event in server.events()}
    assert {event["eventID"] for event in shown} == {
        event_id for event_id, event in logged.items() if event["eventName"] == "CreateModel"
    }
    assert len({event["eventID"] for event in shown}) == len(shown)
    assert all(logged[event["eventID"]] == event for event in shown)


def test_a_back_that_outlives_its_front_keeps_the_next_one_from_the_index(tmp_path):
    server = OpenTrail(tmp_path / "data")
    with server, ThreadPoolExecutor(1) as starter:
        server.client("cloudtrail").lookup_events()
        left_over = server.back_pid
        os.kill(left_over, signal.SIGSTOP)
        server.kill()
        started = starter.submit(server.start)
        try:
            wait_until(lambda: "waits for the back process" in server.errors())
            assert not server.health()["back"]["up"]
        finally:
            os.kill(left_over, signal.SIGCONT)
        started.result()
        assert [event["EventName"] for event in server.lookup()][-1] == "LookupEvents"


def test_the_data_directory_checks_out_afterwards(aftermath, tmp_path):
    server, _, _, _ = aftermath
    server.stop()
    checked = run("fsck", "--data", str(server.data), "--json", home=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    records = json.loads(checked.stdout)["records"]
    assert records["appended"] == records["indexed"] + records["waiting"] > 0
