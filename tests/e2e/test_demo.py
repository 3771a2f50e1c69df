# SPDX-License-Identifier: Apache-2.0
"""The demo as its users run it: what it says, how it ends, and that it leaves nothing behind."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.aws_clients import Key, client
from support.server import wait_until

from opentrail.cli.demo import check_extra
from opentrail.cli.demo_calls import Callers, Made
from opentrail.cli.demo_find import VISIBLE_S_MAX, Finder, Found, Record
from opentrail.cli.demo_show import Summary
from opentrail.cli.demo_steps import STEPS
from opentrail.cli.demo_trail import Delivered, misplaced
from opentrail.cli.demo_validate import Validated
from opentrail.cli.demo_world import world
from opentrail.clock import SystemClock, SystemIds
from opentrail.errors import UsageError

DEMO = [sys.executable, "-m", "opentrail.cli.main", "demo"]
RUN_S_MAX = 60
SUMMARY = re.compile(r"(\d+) of \1 calls recorded and found")


def environment(tmp_path):
    """Return an environment whose own settings would lead the demo astray if it listened to them."""
    return os.environ | {
        "TMPDIR": str(tmp_path),
        "OPENTRAIL_DATA": str(tmp_path / "mine"),
        "OPENTRAIL_UPSTREAM": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "AKIANOTTHISONE000000",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_PROFILE": "no-such-profile",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }


def processes_of(tmp_path):
    """Return the processes that were started by the demo: they have its environment."""
    found = []
    mark = f"TMPDIR={tmp_path}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@contextmanager
def demo(tmp_path, *flags, stdout=subprocess.PIPE):
    """Run the demo, and check that nothing of it is left."""
    process = subprocess.Popen(
        [*DEMO, *flags],
        env=environment(tmp_path),
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    )
    try:
        yield process
        process.wait(RUN_S_MAX)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    assert list(tmp_path.iterdir()) == []
    # A back whose front was killed ends by itself, a moment later.
    wait_until(lambda: processes_of(tmp_path) == [])


@pytest.mark.parametrize("bucket", ["upstream", "directory"])
def test_one_json_document_says_what_was_called_found_and_delivered(tmp_path, bucket):
    with demo(tmp_path, "--format", "json", "--bucket", bucket) as process:
        text, _ = process.communicate(timeout=RUN_S_MAX)
    document = json.loads(text)
    calls, events = document["calls"], document["events"]

    assert process.returncode == 0
    assert document["found"] == document["made"] == len(calls) == len(events) >= len(STEPS)
    assert [call["problems"] for call in calls] == [[]] * len(calls)
    assert [call["event_id"] for call in calls] == [event["eventID"] for event in events]
    assert len({event["eventID"] for event in events}) == len(events)
    assert {event["userIdentity"]["type"] for event in events} == {"IAMUser", "AssumedRole", "Root"}
    assert {event["eventSource"].partition(".")[0] for event in events} == {
        "sagemaker",
        "personalize",
        "devops-guru",
        "sts",
    }
    assert sum("errorCode" in event for event in events) >= 6
    assert {event["eventCategory"] for event in events} == {"Management", "Data"}
    assert 0 < document["visible_ms"]["median"] < 1000
    check_trail(document["trail"], events)
    assert "client" not in document
    assert "secret" not in text.lower().replace("hidden_due_to_security_reasons", "")


def check_trail(trail, events):
    """Hold what is said of the trail against the calls."""
    assert trail["problems"] == []
    delivered = Counter(each for file in trail["files"] for each in file["event_ids"])
    assert max(delivered.values()) == 1
    assert delivered.total() == trail["selected"] == trail["delivered"] > len(events) - 5
    left_out = {e["eventName"] for e in events if e["eventID"] not in delivered}
    assert left_out == {"InvokeEndpoint"}
    assert trail["first_record"]["eventID"] == trail["files"][0]["event_ids"][0]
    assert trail["first_record"]["eventName"] == "StartLogging"
    assert all("/CloudTrail-Digest/" in key for key in trail["digests"])
    verdict = trail["validate_logs"]
    assert verdict["exit_code"] == 0
    files, digests = len(trail["files"]), len(trail["digests"])
    assert f"{digests}/{digests} digest files valid" in verdict["lines"]
    assert f"{files}/{files} log files valid" in verdict["lines"]


def test_keep_leaves_it_running_for_clients_until_ctrl_c(tmp_path):
    with demo(tmp_path, "--keep") as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("export AWS_DISABLE_HOST_PREFIX"):
                break
        variables = dict(re.findall(r"export (\w+)=(\S+)", "".join(lines)))
        key = Key(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"].strip("'"))
        cloudtrail = client("cloudtrail", variables["AWS_ENDPOINT_URL"], key)
        answer = cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateEndpoint"}]
        )
        process.send_signal(signal.SIGINT)

    assert [event["Username"] for event in answer["Events"]] == ["ada"]
    assert SUMMARY.search("".join(lines))
    assert process.returncode == 0


def test_it_ends_when_opentrail_ends(tmp_path):
    with demo(tmp_path, "--keep", "--format", "json") as process:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        for pid in processes_of(tmp_path):
            if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
    client_settings = json.loads(text)["client"]
    assert client_settings["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert process.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_in_the_middle_it_tidies_up(tmp_path, number):
    with demo(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "CreateTrainingJob" in line:
                break
        process.send_signal(number)
    assert process.returncode == 130


def test_interrupted_while_it_starts_it_tidies_up(tmp_path):
    with demo(tmp_path) as process:
        while not list(tmp_path.iterdir()):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130


def test_a_terminal_gets_a_table(tmp_path):
    ours, theirs = pty.openpty()
    shown = b""
    with demo(tmp_path, stdout=theirs) as process:
        os.close(theirs)
        while True:
            try:
                shown += os.read(ours, 65_536)
            except OSError:  # Linux says so when the other end is closed
                break
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert process.returncode == 0
    assert SUMMARY.search(text)
    assert b"\x1b[" in shown
    rows = text.rpartition("visible")[2]
    assert len(re.findall(r"^(?:user|role|root) .* yes *\r$", rows, re.MULTILINE)) >= len(STEPS)


@pytest.fixture(scope="module")
def finder_and_callers():
    clock = SystemClock()
    with world(clock, SystemIds()) as here:
        callers = Callers(here, clock)
        cloudtrail = callers.client("cloudtrail", here.admin)
        yield Finder(cloudtrail, here.settings.data_dir / "log", here.server, clock), callers


def step_named(name):
    return next(step for step in STEPS if step.operation == name and not step.error)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (replace(step_named("ListModels"), read_only=False), "readOnly is True, not False"),
        (replace(step_named("ListModels"), error="Throttled"), "answered with success"),
        (replace(step_named("ListModels"), data=True), "LookupEvents shows a data event"),
    ],
)
def test_what_is_not_as_it_must_be_is_said(finder_and_callers, step, problem):
    finder, callers = finder_and_callers
    found = [finder.find(made) for made in callers.run([step, step_named("DescribeAccountHealth")])]
    found = [finder.confirm(each) for each in found]
    assert any(problem in said for said in found[0].problems)
    assert not Summary(found, WELL).all_good


def test_a_call_without_an_event_is_not_found(finder_and_callers):
    finder, _ = finder_and_callers
    clock = SystemClock()
    began = clock.monotonic()
    made = Made(step_named("ListModels"), "AKIA", "no-such-request", "", began)
    found = finder.find(made)
    assert not found.text
    assert finder.confirm(found) == found
    assert VISIBLE_S_MAX <= clock.monotonic() - began < VISIBLE_S_MAX + 2
    assert not Summary([found], WELL).all_good
    assert not Summary([], WELL).all_good


EVENT: Record = {"eventID": "1", "eventName": "ListModels", "eventCategory": "Management"}
OTHER: Record = EVENT | {"eventID": "2"}
CALL = Made(step_named("ListModels"), "AKIA", "1", "", 0.0)
LISTED = Found(CALL, "{}", EVENT, 1.0, ())
INVOKED = replace(LISTED, made=replace(CALL, step=step_named("InvokeEndpoint")))
SAID = ("1/1 digest files valid", "1/1 log files valid")
WELL = Delivered("arn", 1, {"file": [EVENT]}, ["digest"], Validated(0, SAID), ())


def test_a_demo_is_good_when_calls_and_trail_are():
    assert Summary([LISTED], WELL).all_good
    assert not Summary([LISTED], replace(WELL, files={})).all_good
    assert not Summary([LISTED], replace(WELL, digests=[])).all_good
    assert not Summary([LISTED], replace(WELL, problems=("one",))).all_good


@pytest.mark.parametrize(
    ("found", "files", "problem"),
    [
        ([LISTED], {"a": [EVENT]}, None),
        ([LISTED], {}, "ListModels 1 is in the log files 0 times"),
        ([LISTED], {"a": [EVENT], "b": [EVENT]}, "ListModels 1 is in the log files 2 times"),
        ([LISTED], {"a": [EVENT, OTHER]}, "ListModels 2 is not what was selected"),
        ([LISTED], {"a": [EVENT | {"readOnly": True}]}, "ListModels 1 is not what was selected"),
        ([INVOKED], {"a": [EVENT]}, "InvokeEndpoint must not be in a log file"),
    ],
)
def test_what_is_in_the_wrong_file_is_said(found, files, problem):
    problems = list(misplaced([EVENT], found, files))
    assert problem in problems if problem else problems == []


@pytest.mark.parametrize(
    ("validated", "count"),
    [
        (Validated(0, SAID), 0),
        (Validated(1, SAID), 1),
        (Validated(0, ()), 2),
        (Validated(0, ("11/11 digest files valid", "0/1 log files valid, 1/1 INVALID")), 2),
    ],
)
def test_the_verdict_must_name_every_file(validated, count):
    assert len(list(validated.problems(1, 1))) == count


def test_without_the_extra_it_says_what_to_install():
    with pytest.raises(UsageError, match=r"needs no_such_module.*pip install 'opentrail\[demo\]'"):
        check_extra(("boto3", "no_such_module"))


def test_without_the_extra_the_command_ends_with_one_line(tmp_path):
    shadow = tmp_path / "moto"
    hidden = "import sys, importlib.util as u; real = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name == 'moto' else real(name, *a)\n"
    shadow.mkdir()
    (shadow / "sitecustomize.py").write_text(hidden)
    done = subprocess.run(
        DEMO,
        env=os.environ | {"PYTHONPATH": str(shadow)},
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S_MAX,
    )
    shutil.rmtree(shadow)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'opentrail[demo]'" in done.stderr
