# SPDX-License-Identifier: Apache-2.0
"""Processes are killed while trails deliver under load, then an old state comes back: once, valid."""

import json
import os
import shutil
import signal

import pytest
from support.create_load import Load
from support.server import OpenTrail, wait_until
from support.signed_requests import KEY_ID, SECRET
from support.trail_server import TrailSeen, check_once, check_valid, contents, settings

from opentrail.sandbox.process import start_sandbox

ROUNDS = 3
"""Of three kills each."""
CALLS_BETWEEN = 60
CONFIG = f"""
[log]
disk_reserve_bytes = 0

[access_keys.{KEY_ID}]
secret_access_key = "{SECRET}"
user_name = "load"
"""
WRITES = [
    {
        "FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]},
            {"Field": "readOnly", "Equals": ["false"]},
        ]
    }
]


def kill_all(server, noted, *, with_state):
    """Kill back, front, then both, under load; in between stop it to copy its state."""

    def wait_for_calls():
        wanted = len(noted.answered) + CALLS_BETWEEN
        wait_until(lambda: len(noted.answered) >= wanted, seconds_max=30)

    wait_for_calls()
    server.kill_back()
    wait_for_calls()
    server.kill()
    server.start()
    server.client("sagemaker").list_models()
    wait_for_calls()
    if with_state is not None:
        server.stop()
        with_state()
        server.start()
        wait_for_calls()
    back = server.back_pid
    os.kill(server.pid, signal.SIGKILL)
    os.kill(back, signal.SIGKILL)
    server.kill()
    server.start()


def copy_state(source, target):
    """Let the state in ``target`` be that of ``source``."""
    target.mkdir(exist_ok=True)
    for path in target.glob("state.db*"):
        path.unlink()
    for path in source.glob("state.db*"):
        shutil.copyfile(path, target / path.name)


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory):
    """Yield (server, trails, home) after the kills, the trails stopped; the old state is kept."""
    home = tmp_path_factory.mktemp("trails-kill")
    bucket = home / "audit"
    with start_sandbox() as sandbox:
        config = CONFIG + settings(bucket)
        with OpenTrail(home / "data", upstream=sandbox.url, config=config) as server:
            admin = server.admin
            trails = [
                TrailSeen(server, bucket, "all", is_managed, admin),
                TrailSeen(server, bucket, "writes", is_write, admin),
            ]

            def keep():
                copy_state(server.data, home / "old")
                (home / "old" / "keys").write_text(json.dumps(list(contents(bucket))))

            for trail in trails:
                trail.create()
            trails[1].call("put_event_selectors", TrailName="writes", AdvancedEventSelectors=WRITES)
            for trail in trails:
                trail.start()
            with Load(server.endpoint, raw=2, boto=1) as noted:
                for number in range(ROUNDS):
                    kill_all(server, noted, with_state=keep if number == 1 else None)
            for trail in trails:
                trail.stop()
            yield server, trails, home


def is_managed(event):
    return event["eventCategory"] == "Management"


def is_write(event):
    return is_managed(event) and event["readOnly"] is False


def test_each_selected_event_is_in_one_file(aftermath):
    _, trails, _ = aftermath
    check_once(trails)
    assert trails[1].delivered().total() > 3 * ROUNDS * CALLS_BETWEEN
    assert trails[0].delivered().total() > trails[1].delivered().total()


def test_both_trails_are_valid(aftermath):
    _, trails, home = aftermath
    for trail in trails:
        check_valid(trail, home)
        code, output = trail.verify(home)
        assert code == 0, output


def test_an_old_state_delivers_the_same_again(aftermath):
    server, trails, home = aftermath
    bucket = trails[0].bucket
    before = contents(bucket)
    later = sorted(set(before) - set(json.loads((home / "old" / "keys").read_text())))
    # Every second one must come again as it was; the others are put over themselves.
    last = [str(trail.digest_paths()[-1].relative_to(bucket)) for trail in trails]
    gone = {*later[::2], *last}
    server.stop()
    copy_state(home / "old", server.data)
    for key in gone:
        (bucket / key).unlink()
    server.start()
    wait_until(lambda: all((bucket / key).exists() for key in gone), seconds_max=20)
    assert len(later) > len(trails) * ROUNDS
    assert contents(bucket) == before
    check_once(trails)
    for trail in trails:
        check_valid(trail, home)
        code, output = trail.verify(home)
        assert code == 0, output
